"""Reading one batch ahead: the same events in the same order, however the reader jumps and whatever fails."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from eventstore.events import Head, LoggedEvent
from projections.model import position_of
from projections.reading import ReadAhead

AT = datetime(2026, 3, 1, tzinfo=UTC)


class Log:
    """Events 1 to `size`. `asked` are the reads that reached it, `fails` those that fail once."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked: list[int] = []
        self.fails: set[int] = set()

    async def follow(self, after_position: int, limit: int) -> list[LoggedEvent]:
        self.asked.append(after_position)
        if after_position in self.fails:
            self.fails.remove(after_position)
            raise OSError("away")
        last = min(after_position + limit, self.size)
        return [LoggedEvent(n, n << 16, "s", n, "T", 1, {}, AT) for n in range(after_position + 1, last + 1)]

    async def head(self) -> Head:
        return Head(self.size, 0, None)


async def positions(reading: ReadAhead, after: int) -> list[int]:
    return [position_of(record) for record in await reading.after(after)]


async def test_the_next_batch_is_on_its_way_before_it_is_asked_for() -> None:
    log = Log(25)
    reading = ReadAhead(log, 10)
    assert await positions(reading, 0) == list(range(1, 11))
    assert log.asked == [0, 10]
    assert await positions(reading, 10) == list(range(11, 21))
    assert await positions(reading, 20) == list(range(21, 26))
    log.size = 27
    assert await positions(reading, 25) == [26, 27], "the end of the log is asked for anew"
    assert log.asked == [0, 10, 20, 25]
    await reading.close()


async def test_who_goes_elsewhere_gets_what_is_there() -> None:
    log = Log(40)
    reading = ReadAhead(log, 10)
    await reading.after(0)
    assert await positions(reading, 5) == list(range(6, 16))
    assert await positions(reading, 15) == list(range(16, 26))
    await reading.close()
    assert log.asked == [0, 10, 5, 15, 25]


async def test_a_read_ahead_that_fails_is_told_when_its_turn_comes() -> None:
    log = Log(40)
    log.fails = {10, 30}
    reading = ReadAhead(log, 10)
    assert await positions(reading, 0) == list(range(1, 11))
    with pytest.raises(OSError, match="away"):
        await reading.after(10)
    assert await positions(reading, 10) == list(range(11, 21))
    assert await positions(reading, 20) == list(range(21, 31))
    await reading.close()  # with a failure that nobody asked for
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
