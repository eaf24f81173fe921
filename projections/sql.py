"""The engine's own tables and statements. Every statement has a name and says what it is for.

Schema `projection` keeps the builds with their checkpoints and the dead letters; readers see schema `read`.
"""

from __future__ import annotations

from typing import LiteralString

# Safe to run again and under running code of this version. `epoch` is part of the compare-and-set, so that what a
# command changed about a view (a retried dead letter) is never overlooked by an engine that knew the old state.
INSTALL: LiteralString = """
CREATE SCHEMA IF NOT EXISTS projection;
CREATE TABLE IF NOT EXISTS projection.installed (one boolean PRIMARY KEY CHECK (one), digest text NOT NULL);
CREATE TABLE IF NOT EXISTS projection.builds (
    build bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view text NOT NULL,
    version int NOT NULL,
    status text NOT NULL CHECK (status IN ('live', 'building', 'shadow', 'retired')),
    position bigint NOT NULL DEFAULT 0,
    epoch bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX IF NOT EXISTS builds_live ON projection.builds (view) WHERE status = 'live';
CREATE TABLE IF NOT EXISTS projection.dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view text NOT NULL,
    build bigint NOT NULL,
    stream text NOT NULL,
    position bigint NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    status text NOT NULL CHECK (status IN ('parked', 'follower', 'resolved', 'skipped')),
    error_class text,
    error text,
    attempts int NOT NULL DEFAULT 0,
    first_failed_at timestamptz NOT NULL DEFAULT now(),
    last_failed_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (build, position)
);
CREATE INDEX IF NOT EXISTS dead_letters_open ON projection.dead_letters (build, stream, position)
    WHERE status IN ('parked', 'follower');
CREATE OR REPLACE FUNCTION projection.advance(
    p_builds bigint[], p_from bigint[], p_epochs bigint[], p_to bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    moved int;
BEGIN
    PERFORM FROM projection.builds WHERE build = ANY (p_builds) ORDER BY build FOR UPDATE;
    UPDATE projection.builds AS b SET position = step.upto
      FROM unnest(p_builds, p_from, p_epochs, p_to) AS step (build, since, epoch, upto)
     WHERE b.build = step.build AND b.position = step.since AND b.epoch = step.epoch AND b.status <> 'retired';
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(p_builds) THEN
        RAISE EXCEPTION 'a checkpoint was moved by somebody else' USING ERRCODE = 'TM001';
    END IF;
END $$;
CREATE OR REPLACE FUNCTION projection.refuse_going_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the checkpoint of % cannot go back to %: what it has taken in would be taken in again',
        OLD.view, NEW.position USING ERRCODE = 'integrity_constraint_violation', HINT = 'rebuild the view';
END $$;
CREATE OR REPLACE TRIGGER checkpoints_only_grow BEFORE UPDATE OF position ON projection.builds
    FOR EACH ROW WHEN (NEW.position < OLD.position) EXECUTE FUNCTION projection.refuse_going_back();
"""

# Lag is worked out when asked for, from the log itself: a projector that died shows as growing lag, not as zero.
# The oldest event not taken in is the next position's, or where all positions are taken in, the oldest append
# that has no position yet.
INSTALL_READ: LiteralString = """
CREATE OR REPLACE VIEW read.lag AS
    WITH head AS (
        SELECT h.last_position AS position, COALESCE(sum(u.events), 0)::bigint AS unsequenced,
               min(u.appended_at) AS oldest_at
          FROM public.log_head AS h LEFT JOIN LATERAL (
               SELECT events, appended_at FROM public.unsequenced WHERE append_id > h.floor
               UNION ALL
               SELECT late.events, late.appended_at FROM unnest(h.gaps + h.old_gaps) AS gap
                 JOIN public.unsequenced AS late ON late.append_id >= lower(gap) AND late.append_id < upper(gap)
          ) AS u ON true
         GROUP BY h.last_position
    )
    SELECT b.view, b.build, b.version, b.status, b.position, head.position AS head_position,
           head.unsequenced AS unsequenced_events,
           GREATEST(head.position - b.position, 0) + head.unsequenced AS lag_events,
           CASE WHEN COALESCE(next.recorded_at, head.oldest_at) IS NULL THEN 0
                ELSE GREATEST(extract(epoch FROM
                     clock_timestamp() - COALESCE(next.recorded_at, head.oldest_at)) * 1000, 0)
           END::float8 AS lag_ms,
           (SELECT count(*) FROM projection.dead_letters d
             WHERE d.build = b.build AND d.status IN ('parked', 'follower')) AS dead_letters
      FROM projection.builds b CROSS JOIN head
      LEFT JOIN LATERAL (
          SELECT e.recorded_at FROM public.positions p JOIN public.events e ON e.id = p.id
           WHERE p.position = b.position + 1
      ) AS next ON true
     WHERE b.status IN ('live', 'building');
CREATE OR REPLACE VIEW read.checkpoints AS
    SELECT view, position FROM projection.builds WHERE status = 'live';
CREATE OR REPLACE VIEW read.dead_letters AS
    SELECT d.id, d.view, d.build, d.stream, d.position, d.event_id, d.type, d.status, d.error_class, d.error,
           d.attempts, d.first_failed_at, d.last_failed_at, b.status = 'live' AS live
      FROM projection.dead_letters d JOIN projection.builds b USING (build)
     WHERE b.status <> 'shadow';
"""

# Which of our roles exist here, for grants on what is made at run time.
READING_ROLES: LiteralString = """
SELECT rolname FROM pg_roles WHERE rolname IN ('tidemark_app', 'tidemark_reader', 'tidemark_projector') ORDER BY 1
"""

# What was installed last, to leave it alone: replacing a view waits for its readers, and other readers for that.
INSTALLED: LiteralString = "SELECT digest FROM projection.installed"

IS_INSTALLED: LiteralString = "SELECT to_regclass('projection.installed') IS NOT NULL"

NOTE_INSTALLED: LiteralString = """
INSERT INTO projection.installed (one, digest) VALUES (true, %s)
ON CONFLICT (one) DO UPDATE SET digest = EXCLUDED.digest
"""

INSTALL_LOCK: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended('tidemark:projection:install', 0))"

TRY_LOCK: LiteralString = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"

UNLOCK: LiteralString = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"

# --- builds ------------------------------------------------------------

BUILDS_OF: LiteralString = """
SELECT build, version, status, position, epoch FROM projection.builds
 WHERE view = %s AND status <> 'retired' ORDER BY build
"""

LIVE_BUILD: LiteralString = """
SELECT build, version, position, epoch FROM projection.builds WHERE view = %s AND status = 'live'
"""

LOCK_LIVE_BUILD: LiteralString = """
SELECT build, version, position, epoch FROM projection.builds WHERE view = %s AND status = 'live' FOR UPDATE
"""

LOCK_BUILD: LiteralString = """
SELECT view, version, position, epoch FROM projection.builds WHERE build = %s AND status <> 'retired' FOR UPDATE
"""

NEW_BUILD: LiteralString = """
INSERT INTO projection.builds (view, version, status) VALUES (%s, %s, %s) RETURNING build
"""

SET_STATUS: LiteralString = "UPDATE projection.builds SET status = %s, epoch = epoch + 1 WHERE build = %s"

FORGET_BUILD: LiteralString = """
WITH letters AS (DELETE FROM projection.dead_letters WHERE build = %(build)s)
DELETE FROM projection.builds WHERE build = %(build)s AND status <> 'live'
"""

WITH_LEFTOVERS: LiteralString = """
SELECT DISTINCT view FROM projection.builds
 WHERE status IN ('building', 'shadow')
    OR (status = 'retired' AND to_regnamespace('view_' || view || '_' || build) IS NOT NULL)
"""

RETIRED_WITH_SCHEMA: LiteralString = """
SELECT build FROM projection.builds
 WHERE view = %s AND status = 'retired' AND to_regnamespace('view_' || view || '_' || build) IS NOT NULL
"""

RAISE_EPOCH: LiteralString = "UPDATE projection.builds SET epoch = epoch + 1 WHERE build = %s"

# The compare-and-set of all checkpoints of one transaction; raises SQLSTATE TM001 when any is not as we read it.
# For the rest of it the builds' tables go by their plain names: no two views have one of the same name.
ADVANCE: LiteralString = """
SELECT projection.advance(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]),
       set_config('search_path', %s, true)
"""

USE_SCHEMA: LiteralString = "SELECT set_config('search_path', %s, true)"

# --- dead letters ------------------------------------------------------------

PARKED_STREAMS: LiteralString = """
SELECT DISTINCT stream FROM projection.dead_letters WHERE build = %s AND status IN ('parked', 'follower')
"""

SKIPPED_POSITIONS: LiteralString = """
SELECT position FROM projection.dead_letters WHERE build = %s AND status = 'skipped'
"""

PARK: LiteralString = """
INSERT INTO projection.dead_letters
       (view, build, stream, position, event_id, type, status, error_class, error, attempts)
SELECT %s, %s, r.stream, r.position, e.event_id, r.type, r.status, r.error_class, r.error, r.attempts
  FROM json_to_recordset(%s::json) AS r (stream text, position bigint, type text, status text,
                                         error_class text, error text, attempts int)
  JOIN public.positions AS p ON p.position = r.position JOIN public.events AS e ON e.id = p.id
"""

# What an operator dropped stays dropped in a new build of the same version.
INHERIT_SKIPPED: LiteralString = """
INSERT INTO projection.dead_letters (view, build, stream, position, event_id, type, status, error_class, error,
                                     attempts, first_failed_at, last_failed_at)
SELECT d.view, %(build)s, d.stream, d.position, d.event_id, d.type, 'skipped', d.error_class, d.error,
       d.attempts, d.first_failed_at, d.last_failed_at
  FROM projection.dead_letters d JOIN projection.builds b USING (build)
 WHERE b.view = %(view)s AND b.status = 'live' AND b.version = %(version)s AND d.status = 'skipped'
"""

CLOSE_LETTERS_OF_BUILD: LiteralString = """
UPDATE projection.dead_letters SET status = 'resolved' WHERE build = %s AND status IN ('parked', 'follower')
"""

LETTER: LiteralString = """
SELECT build, stream, position, status FROM projection.dead_letters WHERE id = %s
"""

# Of one stream, in the log's order: the poison first, then what waits behind it.
OPEN_LETTERS_OF_STREAM: LiteralString = """
SELECT id, position, status, attempts FROM projection.dead_letters
 WHERE build = %s AND stream = %s AND status IN ('parked', 'follower') ORDER BY position
"""

CLOSE_LETTERS: LiteralString = """
UPDATE projection.dead_letters SET status = %s, last_failed_at = last_failed_at WHERE id = ANY (%s)
"""

FAILED_AGAIN: LiteralString = """
UPDATE projection.dead_letters
   SET status = 'parked', attempts = attempts + 1, error_class = %s, error = %s, last_failed_at = now()
 WHERE id = %s
"""
