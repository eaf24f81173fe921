-- Replaced in revision 0004, which says what is wrong with this one; a revision that has run stays as it was.
--
-- Numbers what has committed: gives up to p_limit appends their positions, in the order of their ids, and wakes the
-- readers once. Safe to run from several sessions: the row lock on log_head lets one pass.
--
-- Where to look. `floor` is the highest append id numbered so far; what is above it is new. Ids below it that have not
-- been seen (`gaps`) are transactions still open, or rolled back for ever. So only ids above the floor or within a gap
-- are looked at, never the dead rows of what is numbered already: these stay for as long as any transaction of the
-- cluster is open, and to step over a million of them for every batch would stall every reader.
-- When may a gap be forgotten? Gaps come in two generations: when every transaction that was open as the older one was
-- closed has ended, a gap still in it will never be filled. (A transaction has its xid before it takes append ids.)
CREATE FUNCTION sequence_appends(p_limit integer, OUT appends integer, OUT numbered integer, OUT head bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off SET jit = off
AS $$
DECLARE
    at log_head%ROWTYPE;
    seen_before xid8;
    ids bigint[];
    counts integer[];
    new_floor bigint;
BEGIN
    -- Nothing to do, as most of the time when idle: look without a lock, which would have to be written to disk.
    appends := 0;
    numbered := 0;
    SELECT * INTO STRICT at FROM log_head;
    head := at.last_position;
    IF NOT EXISTS (SELECT FROM unsequenced n WHERE n.append_id > at.floor)
        AND NOT EXISTS (SELECT FROM unnest(at.gaps + at.old_gaps) AS gap
            JOIN unsequenced late ON late.append_id >= lower(gap) AND late.append_id < upper(gap))
        AND ((isempty(at.gaps) AND isempty(at.old_gaps))
            OR at.old_gaps_xid > pg_snapshot_xmin(pg_current_snapshot())) THEN
        RETURN;
    END IF;

    SELECT * INTO STRICT at FROM log_head FOR UPDATE;
    head := at.last_position;
    seen_before := pg_snapshot_xmin(pg_current_snapshot());  -- of a snapshot older than the look below

    SELECT array_agg(u.append_id ORDER BY u.append_id), array_agg(u.events ORDER BY u.append_id), count(*)
        INTO ids, counts, appends
        FROM (
            (SELECT n.append_id, n.events FROM unsequenced n
                WHERE n.append_id > at.floor ORDER BY n.append_id LIMIT p_limit)
            UNION ALL
            (SELECT late.append_id, late.events FROM unnest(at.gaps + at.old_gaps) AS gap
                JOIN unsequenced late ON late.append_id >= lower(gap) AND late.append_id < upper(gap))
            ORDER BY append_id LIMIT p_limit
        ) AS u;

    IF appends > 0 THEN
        WITH numbers AS (
            INSERT INTO positions (position, id)
                SELECT at.last_position + row_number() OVER (ORDER BY a.append_id, i), a.append_id * 65536 + i
                    FROM unnest(ids, counts) AS a (append_id, events), generate_series(0, a.events - 1) AS i
                RETURNING 1
        )
        SELECT count(*) INTO numbered FROM numbers;
        head := at.last_position + numbered;
        DELETE FROM unsequenced WHERE append_id = ANY (ids);
        new_floor := greatest(at.floor, ids[appends]);
        SELECT at.gaps + int8multirange(int8range(at.floor + 1, new_floor + 1)) - found.ids, at.old_gaps - found.ids
            INTO at.gaps, at.old_gaps
            FROM (SELECT range_agg(int8range(id, id + 1)) AS ids FROM unnest(ids) AS id) AS found;
        at.floor := new_floor;
    END IF;

    -- Only when the look found less than there was room for has it passed over every gap.
    IF appends < p_limit AND at.old_gaps_xid <= seen_before AND NOT (isempty(at.gaps) AND isempty(at.old_gaps)) THEN
        at.old_gaps := at.gaps;
        at.gaps := '{}';
        at.old_gaps_xid := pg_snapshot_xmax(pg_current_snapshot());
        UPDATE log_head SET last_position = head, floor = at.floor, gaps = at.gaps, old_gaps = at.old_gaps,
            old_gaps_xid = at.old_gaps_xid;
    ELSIF appends > 0 THEN
        UPDATE log_head SET last_position = head, floor = at.floor, gaps = at.gaps, old_gaps = at.old_gaps;
    END IF;
    IF appends > 0 THEN
        PERFORM pg_notify('tidemark_log', head::text);
    END IF;
END $$;
