-- A partition holds 2^22 (4 million) appends, some 10 million events. Fewer would make every load of a stream look
-- into more of them; more would let the indexes written to (of the last partition only) outgrow memory.
-- Always three ahead of the last append: the caller may be away for 8 million appends before one is refused.
CREATE FUNCTION ensure_partitions() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    appends CONSTANT bigint := 4194304;
    ids CONSTANT bigint := appends * 65536;
    last_append bigint;
    name text;
    made integer := 0;
BEGIN
    SELECT last_value INTO last_append FROM append_ids;
    FOR part IN greatest(last_append / appends - 1, 0)..last_append / appends + 2 LOOP
        name := 'events_p' || lpad(part::text, 6, '0');
        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
        -- Two callers at once: the second waits here and then finds it made.
        PERFORM pg_advisory_xact_lock(8449002);
        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
        -- Made apart and then attached, which does not lock out appends to the other partitions.
        EXECUTE format('CREATE TABLE public.%I (LIKE public.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
        EXECUTE format('ALTER TABLE public.%I ADD PRIMARY KEY (id), ADD CONSTRAINT %I UNIQUE (stream, version)',
            name, name || '_stream_version');
        EXECUTE format('ALTER TABLE public.events ATTACH PARTITION public.%I FOR VALUES FROM (%s) TO (%s)',
            name, part * ids, (part + 1) * ids);
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON public.%I '
            'FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change()', name);
        EXECUTE format('GRANT SELECT ON public.%I TO tidemark_app, tidemark_projector, tidemark_reader', name);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
