"""Periods of time, in UTC: what begins belongs to them, what ends them does not."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from domain.errors import InvalidInput

_TICK: Final = timedelta(microseconds=1)
_FIRST: Final = datetime.min.replace(tzinfo=UTC) + _TICK


def period(
    since: date | datetime | None, until: date | datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """[since, until): without an end up to now, without a beginning since that of the month that the end is in.

    Raises InvalidInput where it is none.
    """
    end = now if until is None else instant_of(until)
    start = months_back(max(end, _FIRST) - _TICK, 1) if since is None else instant_of(since)
    if end <= start:
        raise InvalidInput("invalid_range", "to must be after from", "to")
    return start, end


def instant_of(given: date | datetime) -> datetime:
    """In UTC; a day is its beginning."""
    if not isinstance(given, datetime):
        return datetime.combine(given, time(), UTC)
    try:
        return given.astimezone(UTC)
    except OverflowError:  # of the first or the last day that there is
        return given.replace(tzinfo=UTC)


def months_back(now: datetime, months: int) -> datetime:
    """The beginning of the first of so many calendar months, the last of them being that of `now`."""
    count = max(now.year * 12 + now.month - months, 12)
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)
