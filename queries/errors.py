"""Why a question has no answer.

QueryError
├── NotFound            the id names nothing that the view knows of           not_found
├── BadCursor           the cursor was not made by us, or for another list    bad_cursor
├── NotCaughtUp         the view did not reach the position in time           not_caught_up
├── TooLong             what is asked for as a whole has too many lines       statement_too_long
├── DoesNotAddUp        a view lost or gained an entry; it has to be rebuilt  does_not_add_up
└── ReadUnavailable     Postgres is away, or the projector never ran here     read_unavailable
"""

from __future__ import annotations


class QueryError(Exception):
    """`code` is stable and may be shown to callers."""

    code = "query_error"


class NotFound(QueryError):
    """A view may lag: what was written a moment ago is found once the view is there (see `wait_for_position`)."""

    code = "not_found"


class BadCursor(QueryError):
    code = "bad_cursor"


class NotCaughtUp(QueryError):
    code = "not_caught_up"


class TooLong(QueryError):
    code = "statement_too_long"


class DoesNotAddUp(QueryError):
    """Rather no statement than a wrong one."""

    code = "does_not_add_up"


class ReadUnavailable(QueryError):
    code = "read_unavailable"
