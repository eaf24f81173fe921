-- What the batches of transfers ask for: input, written in the transaction that accepts the batch and never changed.
-- The event BatchAccepted has the hash over all of a batch's rows, so that `verify` can tell if it was. Whatever
-- becomes of an item is in the log, not here.
CREATE TABLE batch_items (
    batch_id text COLLATE "C" NOT NULL,
    item integer NOT NULL CHECK (item > 0),
    from_account text COLLATE "C" NOT NULL,
    to_account text COLLATE "C" NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL,
    reference text,
    purpose text,
    metadata jsonb NOT NULL,
    PRIMARY KEY (batch_id, item)
);
GRANT SELECT, INSERT ON batch_items TO tidemark_app;
GRANT SELECT ON batch_items TO tidemark_projector, tidemark_reader;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON batch_items FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON batch_items FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
