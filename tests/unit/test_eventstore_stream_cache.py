"""The cache of states and the locks of streams."""

from __future__ import annotations

import asyncio

import pytest

from eventstore.stream_cache import Known, StreamCache, StreamLocks


def known(version: int) -> Known[str]:
    return Known(f"v{version}", version, bytes(32))


def test_the_least_recently_used_goes_first() -> None:
    cache: StreamCache[str] = StreamCache(2)
    cache.put("a", known(1))
    cache.put("b", known(1))
    assert cache.get("a") is not None
    cache.put("c", known(1))
    assert cache.get("b") is None
    assert cache.get("a") is not None


def test_what_is_newer_stays() -> None:
    cache: StreamCache[str] = StreamCache(2)
    cache.put("a", known(3))
    cache.put("a", known(2))
    assert cache.get("a") == known(3)
    cache.forget(["a", "x"])
    cache.put("a", known(2))
    assert cache.get("a") == known(2)


async def test_one_holder_at_a_time_in_turn_and_no_lock_is_left() -> None:
    locks = StreamLocks()
    inside: list[str] = []
    order: list[int] = []

    async def hold(number: int, *streams: str) -> None:
        async with locks.hold(streams):
            assert not set(inside) & set(streams)
            inside.extend(streams)
            await asyncio.sleep(0.001)
            for stream in streams:
                inside.remove(stream)
            order.append(number)

    async with asyncio.timeout(5):
        await asyncio.gather(
            *(hold(n, *(("a", "b"), ("b", "a"), ("b", "c"), ("c", "a"))[n % 4]) for n in range(40))
        )
    assert len(order) == 40
    assert not locks._locks


async def test_a_waiter_that_gives_up_lets_go_of_what_it_had() -> None:
    locks = StreamLocks()
    async with locks.hold(["b"]):
        waiter = asyncio.create_task(_hold(locks, "a", "b"))
        await asyncio.sleep(0.01)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        async with asyncio.timeout(1):
            await _hold(locks, "a")
    assert not locks._locks


async def _hold(locks: StreamLocks, *streams: str) -> None:
    async with locks.hold(streams):
        pass
