"""The statements of verify.py. Each check returns rows of (where, details …), at most `limit` of them."""

from __future__ import annotations

from typing import Final

# Sorting the whole log takes its time.
NO_TIME_LIMIT: Final = "SET LOCAL statement_timeout = 0"

# How much there is.
COUNTS: Final = """
SELECT (SELECT count(*) FROM streams), (SELECT count(*) FROM positions),
    (SELECT coalesce(sum(events), 0)::bigint FROM unsequenced), (SELECT count(*) FROM commands)
"""

# Every event with all that must agree with it, stream by stream.
EVENTS_BY_STREAM: Final = """
SELECT e.id, e.event_id, e.stream, e.version, e.type, e.schema_version, e.data, e.metadata, e.recorded_at,
    e.prev_hash, e.hash,
    p.position, u.append_id IS NOT NULL AND (e.id & 65535) < u.events, c.command_id, s.version, s.last_hash
FROM events e
LEFT JOIN positions p ON p.id = e.id
LEFT JOIN unsequenced u ON u.append_id = e.id >> 16
LEFT JOIN commands c ON c.append_id = e.id >> 16
LEFT JOIN streams s ON s.stream = e.stream
ORDER BY e.stream, e.version
"""

_POSITIONS_NOT_DENSE: Final = """
SELECT position, before FROM (SELECT position, lag(position, 1, 0::bigint) OVER (ORDER BY position) AS before
    FROM positions) AS p
WHERE position <> before + 1 ORDER BY position LIMIT %(limit)s
"""
_POSITIONS_TEAR_AN_APPEND: Final = """
SELECT position, id, before FROM (SELECT position, id, lag(id) OVER (ORDER BY position) AS before
    FROM positions) AS p
WHERE (id & 65535) <> 0 AND id IS DISTINCT FROM before + 1 ORDER BY position LIMIT %(limit)s
"""
_POSITIONS_WITHOUT_EVENT: Final = """
SELECT p.position, p.id FROM positions p LEFT JOIN events e ON e.id = p.id
WHERE e.id IS NULL ORDER BY p.position LIMIT %(limit)s
"""
_HEAD_DIFFERS: Final = """
SELECT h.last_position, coalesce(p.last, 0) FROM log_head h, (SELECT max(position) AS last FROM positions) AS p
WHERE h.last_position <> coalesce(p.last, 0) LIMIT %(limit)s
"""
_UNSEQUENCED_DIFFERS: Final = """
SELECT 'append ' || u.append_id, u.events, count(e.id) FROM unsequenced u
LEFT JOIN events e ON e.id >= u.append_id << 16 AND e.id < (u.append_id + 1) << 16
GROUP BY u.append_id HAVING u.events <> count(e.id) ORDER BY u.append_id LIMIT %(limit)s
"""
_APPENDS_FORGOTTEN: Final = """
SELECT 'append ' || u.append_id, u.events FROM unsequenced u JOIN log_head h ON u.append_id <= h.floor
WHERE NOT (h.gaps + h.old_gaps) @> u.append_id ORDER BY u.append_id LIMIT %(limit)s
"""
_STREAMS_WITHOUT_EVENTS: Final = """
SELECT s.stream, s.version FROM streams s
WHERE NOT EXISTS (SELECT FROM events e WHERE e.stream = s.stream) ORDER BY s.stream LIMIT %(limit)s
"""
_COMMANDS_WITHOUT_EVENTS: Final = """
SELECT c.command_id, c.append_id FROM commands c
WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = c.append_id << 16) ORDER BY c.append_id LIMIT %(limit)s
"""

# (code, query, message with the row's details)
CHECKS: Final = (
    ("positions_not_dense", _POSITIONS_NOT_DENSE, "follows position {0}"),
    ("positions_tear_append", _POSITIONS_TEAR_AN_APPEND, "event {0} of an append follows event {1}"),
    ("position_without_event", _POSITIONS_WITHOUT_EVENT, "points to event {0}, which is not there"),
    ("head_differs", _HEAD_DIFFERS, "is the head, but the last position is {0}"),
    ("unsequenced_differs", _UNSEQUENCED_DIFFERS, "says it waits with {0} events and has {1}"),
    ("append_forgotten", _APPENDS_FORGOTTEN, "waits with {0} events, and nothing looks for it there"),
    ("stream_without_events", _STREAMS_WITHOUT_EVENTS, "its row says version {0}"),
    ("command_without_events", _COMMANDS_WITHOUT_EVENTS, "append {0} has no event"),
)
