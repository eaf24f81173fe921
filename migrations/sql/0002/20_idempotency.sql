-- The first answer to a request, by API key and Idempotency-Key; kept as long as the log. `status` is null while the
-- first request is under way, and after a crash: a repeat then does it again, which is harmless (see api/idempotency).
CREATE TABLE idempotency (
    key_id text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    fingerprint bytea NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    status smallint,
    headers jsonb,
    body bytea,
    PRIMARY KEY (key_id, idempotency_key)
) WITH (fillfactor = 70);

GRANT SELECT, INSERT, DELETE ON idempotency TO tidemark_app;
GRANT UPDATE (status, headers, body, claimed_at) ON idempotency TO tidemark_app;

-- An answer that was given stays given.
CREATE FUNCTION refuse_other_answer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the answer to % of % is kept', OLD.idempotency_key, OLD.key_id USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER answers_are_kept BEFORE UPDATE OR DELETE ON idempotency
    FOR EACH ROW WHEN (OLD.status IS NOT NULL) EXECUTE FUNCTION refuse_other_answer();
