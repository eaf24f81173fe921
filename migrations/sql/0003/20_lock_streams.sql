-- Locks streams as append_events does, rows of those that do not exist yet included, in the same order: until the end
-- of the transaction nobody else can append to them. For a chunk of a batch that others have beaten to it once. Who
-- locks appends to all of them, or rolls back: a row of a stream that got no event must not stay.
CREATE FUNCTION lock_streams(wanted text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
AS $$
BEGIN
    INSERT INTO streams AS s (stream, version, last_hash)
        SELECT DISTINCT w.stream COLLATE "C", 0, '\x0000000000000000000000000000000000000000000000000000000000000000'::bytea
            FROM unnest(wanted) AS w (stream) ORDER BY 1
        ON CONFLICT (stream) DO UPDATE SET version = s.version WHERE false;
END $$;

REVOKE ALL ON FUNCTION lock_streams FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_streams TO tidemark_app;
