"""When a standing order runs: by the local clock of its time zone, or at a fixed distance.

A day that a month does not have is its last: the 31st is the last day of every month. A local time that some day
does not have, or has twice, because the clocks change is refused: so each run has exactly one instant.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import count
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from domain.errors import InvalidInput
from domain.model import AwareDatetime

Frequency = Literal["once", "interval", "daily", "weekly", "monthly", "quarterly", "yearly"]
MONTHS: Final = {"monthly": 1, "quarterly": 3, "yearly": 12}
"""Frequency → months from one run to the next."""
Utc = Annotated[AwareDatetime, AfterValidator(lambda instant: instant.astimezone(UTC))]
A_YEAR_OF_CLOCKS: Final = 400
"""Days: clocks change on Sundays, so a year later it may be some days more."""
FURTHEST: Final = timedelta(days=10 * 366)
"""The furthest that a first run may lie ahead."""


class Timetable(BaseModel):
    """`every_s` goes with `interval`; `day_of_month` is the first run's own where it is not said.

    `end_at` is the last instant at which it may run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    frequency: Frequency
    first_at: Utc
    time_zone: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    every_s: int | None = Field(default=None, ge=1, le=366 * 24 * 3600)
    day_of_month: int | None = Field(default=None, ge=1, le=31)
    end_at: Utc | None = None

    @property
    def by_the_clock(self) -> bool:
        """Whether it follows a local clock through its changes."""
        return self.frequency not in ("once", "interval")

    @property
    def local_first(self) -> datetime:
        """The first run by its own clock."""
        return self.first_at.astimezone(ZoneInfo(self.time_zone))

    @property
    def day(self) -> int:
        """The day of the month it runs on, as far as a month has it."""
        return self.day_of_month or self.local_first.day


def check(table: Timetable, at: datetime) -> None:
    """Raises InvalidInput, with the field, for what can be no timetable from `at` on."""
    if table.time_zone not in _zones():
        raise InvalidInput("unknown_time_zone", f"{table.time_zone} is no time zone of the IANA list", "time_zone")
    if table.first_at.microsecond:
        raise InvalidInput("invalid_first_at", "first_at must be a whole second", "first_at")
    if table.first_at < at:
        raise InvalidInput("first_at_past", "first_at is in the past", "first_at")
    if table.first_at > at + FURTHEST:
        raise InvalidInput("invalid_first_at", "first_at is more than ten years ahead", "first_at")
    if table.end_at is not None:
        check_end(table, table.end_at, at)
    if (table.frequency == "interval") != (table.every_s is not None):
        raise InvalidInput("invalid_interval", "every_s goes with frequency interval, and only there", "every_s")
    if table.day_of_month is not None and table.frequency not in MONTHS:
        raise InvalidInput(
            "invalid_day_of_month", f"what runs {table.frequency} has no day of the month", "day_of_month"
        )
    if table.by_the_clock:
        _check_days(table)


def check_end(table: Timetable, end_at: datetime, at: datetime) -> None:
    """Raises InvalidInput for what can, from `at` on, be no end of it."""
    if table.frequency == "once":
        raise InvalidInput("invalid_end_at", "what runs once has no end", "end_at")
    if end_at <= table.first_at:
        raise InvalidInput("invalid_end_at", "end_at must be after first_at", "end_at")
    if end_at < at:
        raise InvalidInput("invalid_end_at", "end_at is in the past: cancel the standing order", "end_at")


def _check_days(table: Timetable) -> None:
    first = table.local_first
    if table.frequency in MONTHS and first.day != _clamped(first.year, first.month, table.day):
        raise InvalidInput(
            "invalid_day_of_month", f"first_at is on the {first.day}., not the {table.day}.", "day_of_month"
        )
    for days in range(A_YEAR_OF_CLOCKS):
        day = first.date() + timedelta(days=days)
        local = _local(table, day)
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            said = (
                f"on {day} the clocks of {table.time_zone} change at {local:%H:%M}: choose another time of the day"
            )
            raise InvalidInput("time_not_unique", said, "first_at")


def run_after(table: Timetable, instant: datetime) -> datetime | None:
    """The first run later than `instant`, in UTC; None where there is none."""
    if instant < table.first_at:
        found: datetime | None = table.first_at
    elif table.frequency == "once":
        found = None
    elif table.every_s is not None:
        every = timedelta(seconds=table.every_s)
        found = table.first_at + ((instant - table.first_at) // every + 1) * every
    else:
        start = instant.astimezone(ZoneInfo(table.time_zone)).date()
        found = next(run for day in _days(table, start) if (run := _local(table, day).astimezone(UTC)) > instant)
    if found is None or (table.end_at is not None and found > table.end_at):
        return None
    return found.astimezone(UTC)


def _days(table: Timetable, start: date) -> Iterator[date]:
    """The days it runs on, from `start`, which is no earlier than its first, on."""
    first = table.local_first.date()
    if table.frequency in MONTHS:
        step = MONTHS[table.frequency]
        for months in count((start.year - first.year) * 12 + start.month - first.month):
            if months % step == 0:
                years, month = divmod(first.month - 1 + months, 12)
                year, month = first.year + years, month + 1
                yield date(year, month, _clamped(year, month, table.day))
        return
    step = 7 if table.frequency == "weekly" else 1
    for days in count((start - first).days):
        if days % step == 0:
            yield first + timedelta(days=days)


def _clamped(year: int, month: int, day: int) -> int:
    return min(day, monthrange(year, month)[1])


def _local(table: Timetable, day: date) -> datetime:
    """The time of the first run, on another day."""
    first = table.local_first
    return datetime.combine(day, first.time(), first.tzinfo)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
