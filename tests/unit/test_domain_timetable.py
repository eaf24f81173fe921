"""When standing orders run: by calendars, through changes of the clocks, never before, never after their end."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidInput
from domain.timetable import Timetable, check, run_after

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NEW_YORK = datetime(2026, 3, 10, 2, 30, tzinfo=ZoneInfo("America/New_York"))
"""Two days after a night without that time: the next one is more than a year away."""
BERLIN = ZoneInfo("Europe/Berlin")


def table(frequency: str, first_at: datetime, **more: Any) -> Timetable:
    fields = {"frequency": frequency, "first_at": first_at, "time_zone": "Europe/Berlin", **more}
    return Timetable.model_validate(fields)


def berlin(year: int, month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=BERLIN)


def runs(of: Timetable, most: int) -> list[datetime]:
    found, at = list[datetime](), of.first_at - timedelta(seconds=1)
    while len(found) < most and (run := run_after(of, at)) is not None:
        found.append(run)
        at = run
    return found


def days(of: Timetable, most: int) -> list[str]:
    return [f"{run.astimezone(BERLIN):%y-%m-%d %H:%M}" for run in runs(of, most)]


def test_a_month_without_that_day_has_it_on_its_last() -> None:
    last = table("monthly", berlin(2027, 11, 30, 8), day_of_month=31)
    assert days(last, 5) == [
        f"{day} 08:00" for day in ("27-11-30", "27-12-31", "28-01-31", "28-02-29", "28-03-31")
    ]
    monthly = table("monthly", berlin(2027, 1, 30, 8))
    assert days(monthly, 3) == [f"{day} 08:00" for day in ("27-01-30", "27-02-28", "27-03-30")]
    quarterly = table("quarterly", berlin(2026, 11, 30, 8))
    assert days(quarterly, 3) == [f"{day} 08:00" for day in ("26-11-30", "27-02-28", "27-05-30")]
    yearly = table("yearly", berlin(2028, 2, 29, 8))
    assert days(yearly, 3) == [f"{day} 08:00" for day in ("28-02-29", "29-02-28", "30-02-28")]


def test_it_follows_the_local_clock_through_its_changes() -> None:
    spring = table("daily", berlin(2026, 3, 28, 8))
    assert [run.hour for run in runs(spring, 3)] == [7, 6, 6], "in UTC"
    autumn = table("weekly", berlin(2026, 10, 22, 4, 30))
    assert days(autumn, 2) == ["26-10-22 04:30", "26-10-29 04:30"]


def test_once_is_once_and_an_interval_keeps_its_distance() -> None:
    assert runs(table("once", NOW), 9) == [NOW]
    every = table("interval", NOW, every_s=7, end_at=NOW + timedelta(seconds=14))
    assert runs(every, 9) == [NOW + timedelta(seconds=seconds) for seconds in (0, 7, 14)]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"time_zone": "Europe/Bern"}, "unknown_time_zone", "time_zone"),
        ({"first_at": NOW - timedelta(seconds=1)}, "first_at_past", "first_at"),
        ({"first_at": NOW + timedelta(microseconds=1)}, "invalid_first_at", "first_at"),
        ({"first_at": NOW + timedelta(days=4000)}, "invalid_first_at", "first_at"),
        ({"end_at": NOW}, "invalid_end_at", "end_at"),
        ({"frequency": "once", "end_at": NOW + timedelta(days=9)}, "invalid_end_at", "end_at"),
        ({"frequency": "interval"}, "invalid_interval", "every_s"),
        ({"every_s": 60}, "invalid_interval", "every_s"),
        ({"frequency": "weekly", "day_of_month": 1}, "invalid_day_of_month", "day_of_month"),
        ({"day_of_month": 2}, "invalid_day_of_month", "day_of_month"),
        ({"first_at": berlin(2026, 11, 2, 2, 30), "frequency": "daily"}, "time_not_unique", "first_at"),
        ({"first_at": NEW_YORK, "time_zone": "America/New_York"}, "time_not_unique", "first_at"),
    ],
)
def test_what_can_be_no_timetable(change: dict[str, Any], code: str, field: str) -> None:
    good = {"frequency": "monthly", "first_at": NOW, "time_zone": "Europe/Berlin"}
    check(Timetable.model_validate(good), NOW)
    with pytest.raises(InvalidInput) as refusal:
        check(Timetable.model_validate(good | change), NOW)
    assert (refusal.value.code, refusal.value.field) == (code, field)


@given(
    st.sampled_from(["daily", "weekly", "monthly", "quarterly", "yearly"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1)),  # noqa: DTZ001 – local ones
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
    st.integers(0, 500),
)
def test_runs_are_on_its_days_at_its_time_and_follow_each_other(
    frequency: str, first: datetime, zone: str, later: int
) -> None:
    local = first.replace(microsecond=0, hour=12, tzinfo=ZoneInfo(zone))
    of = table(frequency, local.astimezone(UTC), time_zone=zone)
    found = [run.astimezone(ZoneInfo(zone)) for run in runs(of, 14)]
    assert found[0] == local
    for run, following in pairwise(found):
        assert run < following
        assert run.time() == following.time() == local.time()
        apart = (following.date() - run.date()).days
        months = (following.year - run.year) * 12 + following.month - run.month
        match frequency:
            case "daily" | "weekly":
                assert apart == {"daily": 1, "weekly": 7}[frequency]
            case _:
                assert months == {"monthly": 1, "quarterly": 3, "yearly": 12}[frequency]
                assert following.day == min(local.day, monthrange(following.year, following.month)[1])
    at = local + timedelta(days=later)
    assert run_after(of, at) == next(run for run in runs(of, 600) if run > at), "from any moment the same"
