"""Append: all or nothing over several streams, versions checked, one effect per command id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from eventstore.errors import InvalidAppend
from eventstore.events import (
    Appended,
    IdempotencyConflict,
    Outcome,
    Repeated,
    StreamWrite,
    VersionConflict,
)
from eventstore.hashing import event_hash
from eventstore.store import EventStore
from tests.fixtures.database import Database
from tests.fixtures.log import event, found_wrong, opened, request, stored, write


@pytest.fixture
async def store(database: Database) -> AsyncIterator[EventStore]:
    async with opened(database.app) as (store, _):
        yield store
    assert await found_wrong(database.reader) == set()


async def test_what_is_appended_is_loaded_again_and_chained(store: EventStore) -> None:
    first, second = await stored(store, "c1", write("a-1", event(5), event(-2)))
    assert await store.load("a-1") == [first, second]
    assert await store.load("a-1", after_version=1) == [second]
    assert (first.version, second.version, second.prev_hash) == (1, 2, first.hash)
    assert first.metadata == {"actor": "test", "command_id": "c1"}
    again = (second.event_id, "a-1", 2, "Added", 1, second.data, second.metadata, second.recorded_at)
    assert second.hash == event_hash(first.hash, *again)
    assert await store.load("a-2") == []


async def test_several_streams_are_appended_to_together_or_not_at_all(store: EventStore) -> None:
    (one,) = await stored(store, "c1", write("a-1", event()))
    outcomes = await store.append([request("c2", write("a-2", event()), write("a-1", event()))])
    assert outcomes == [VersionConflict("c2", {"a-1": 1})]
    assert await store.load("a-2") == []
    outcomes = await store.append([request("c2", write("a-2", event()), write("a-1", event(), after=one))])
    assert isinstance(outcomes[0], Appended)
    assert {s: len(e) for s, e in (await store.load_many({"a-1": 0, "a-2": 0})).items()} == {"a-1": 2, "a-2": 1}


async def test_a_stream_in_another_version_is_a_conflict_with_the_actual_one(store: EventStore) -> None:
    first, second = await stored(store, "c1", write("a-1", event(), event()))
    behind = request("c2", write("a-1", event(), after=first))
    ahead = request("c3", StreamWrite("a-1", 7, second.hash, (event(),)))
    forged = request("c4", StreamWrite("a-1", 2, b"\x07" * 32, (event(),)))
    assert await store.append([behind, ahead, forged]) == [
        VersionConflict(command, {"a-1": 2}) for command in ("c2", "c3", "c4")
    ]
    for alone in (behind, ahead, forged):
        assert await store.append([alone]) == [VersionConflict(alone.command_id, {"a-1": 2})]
    assert len(await store.load("a-1")) == 2
    assert await store.find_command("c2") is None


async def test_a_repeat_returns_the_stored_outcome_even_with_stale_versions(store: EventStore) -> None:
    (first,) = await stored(store, "c1", write("a-1", event()))
    await stored(store, "c2", write("a-1", event(), after=first))
    repeat = replace(request("c1", write("a-1", event(99))), outcome={"other": "answer"})
    assert await store.append([repeat]) == [Repeated("c1", first.append_id, {"done": "c1"})]
    assert len(await store.load("a-1")) == 2
    found = await store.find_command("c1")
    assert found is not None
    assert (found.append_id, found.fingerprint, found.outcome) == (first.append_id, b"content", {"done": "c1"})


async def test_the_same_id_with_other_content_is_a_conflict_and_has_no_effect(store: EventStore) -> None:
    await stored(store, "c1", write("a-1", event()))
    other = request("c1", write("a-9", event()), content=b"other")
    assert await store.append([other]) == [IdempotencyConflict("c1")]
    assert await store.load("a-9") == []


async def test_fifty_identical_commands_at_once_have_one_effect(database: Database) -> None:
    async with opened(database.app, 10) as (one, _), opened(database.app, 10) as (two, _):
        same = request("c1", write("a-1", event()), write("a-2", event()))
        outcomes = await asyncio.gather(*((one, two)[number % 2].append([same]) for number in range(50)))
        kinds = [type(outcome) for (outcome,) in outcomes]
        assert kinds.count(Appended) == 1
        assert kinds.count(Repeated) == 49
        assert (
            len(
                {
                    outcome.append_id
                    for (outcome,) in outcomes
                    if not isinstance(outcome, (IdempotencyConflict, VersionConflict))
                }
            )
            == 1
        )
        assert len(await one.load("a-1")) == len(await one.load("a-2")) == 1


async def test_one_id_for_different_streams_at_once_has_one_effect(database: Database) -> None:
    """No stream's lock is between them: the command's own row is what decides."""
    async with opened(database.app, 10) as (one, _), opened(database.app, 10) as (two, _):
        for turn in range(20):
            outcomes = await asyncio.gather(
                *(
                    (one, two)[n % 2].append([request(f"c{turn}", write(f"a-{turn}-{n}", event()))])
                    for n in range(8)
                )
            )
            kinds = [type(outcome) for (outcome,) in outcomes]
            assert (kinds.count(Appended), kinds.count(Repeated)) == (1, 7)


async def test_each_request_of_a_batch_has_its_own_outcome(store: EventStore) -> None:
    (old,) = await stored(store, "c1", write("a-1", event()))
    outcomes = await store.append(
        [
            request("c2", write("a-2", event())),
            request("c1", write("a-1", event())),
            request("c1b", write("a-1", event())),
            request("c3", write("a-1", event(), after=old)),
            request("c3", write("a-7", event())),
            request("c4", write("a-2", event()), write("a-3", event())),
        ]
    )
    assert [type(outcome) for outcome in outcomes] == [
        Appended, Repeated, VersionConflict, Appended, Repeated, VersionConflict,
    ]  # fmt: skip
    assert outcomes[5] == VersionConflict("c4", {"a-2": 1})
    assert await store.load("a-3") == await store.load("a-7") == []


async def test_requests_of_a_batch_may_be_chained_on_one_stream(store: EventStore) -> None:
    from eventstore.batch import prepare

    first = request("c1", write("a-1", event(1)))
    version, digest = prepare(first).ends["a-1"]
    second = request("c2", StreamWrite("a-1", version, digest, (event(2), event(3))), write("a-2", event()))
    outcomes: list[Outcome] = await store.append([first, second])
    assert [type(outcome) for outcome in outcomes] == [Appended, Appended]
    assert [e.data["amount"] for e in await store.load("a-1")] == [1, 2, 3]
    # A link that falls out takes with it what hangs on it.
    third = request("c1", write("a-5", event()))
    version, digest = prepare(third).ends["a-5"]
    fourth = request("c4", StreamWrite("a-5", version, digest, (event(),)))
    assert await store.append([third, fourth]) == [
        Repeated("c1", outcomes[0].append_id if isinstance(outcomes[0], Appended) else 0, {"done": "c1"}),
        VersionConflict("c4", {"a-5": 0}),
    ]


async def test_a_write_without_events_only_demands_the_version(store: EventStore) -> None:
    (one,) = await stored(store, "c1", write("a-1", event()))
    await stored(store, "c2", write("a-2", event()), write("a-1", after=one), write("a-0"), write("a-none"))
    outcomes = await store.append([request("c3", write("a-3", event()), write("a-1"))])
    assert outcomes == [VersionConflict("c3", {"a-1": 1})]
    assert await store.load("a-3") == await store.load("a-0") == []
    await stored(store, "c4", write("a-0", event()))


async def test_what_cannot_be_stored_is_refused_before_anything_is(store: EventStore) -> None:
    good = request("c1", write("a-1", event()))
    for wrong in (
        request("c2", write("a-2", event()), write("a-2", event())),
        request("c2", write("a-2")),
        request("", write("a-2", event())),
        request("c2", write("a" * 501, event())),
        replace(good, command_id="c2", recorded_at=good.recorded_at.replace(tzinfo=None)),
    ):
        with pytest.raises(InvalidAppend):
            await store.append([good, wrong])
    with pytest.raises(TypeError, match=r"Added.data.amount: 0.1 is a float"):
        await store.append([good, request("c2", write("a-2", event(0.1)))])  # type: ignore[arg-type]
    assert await store.load("a-1") == []


async def test_appends_over_the_same_streams_in_any_order_never_deadlock(database: Database) -> None:
    async with opened(database.app, 8) as (store, _):

        async def hammer(worker: int) -> int:
            appended = 0
            for turn in range(25):
                names = ["a-1", "a-2", "a-3"] if worker % 2 else ["a-3", "a-2", "a-1"]
                loaded = await store.load_many(dict.fromkeys(names, 0))
                writes = [write(n, event(), after=loaded[n][-1] if loaded[n] else None) for n in names]
                (outcome,) = await store.append([request(f"c-{worker}-{turn}", *writes)])
                appended += isinstance(outcome, Appended)
            return appended

        done = await asyncio.gather(*(hammer(worker) for worker in range(8)))
        assert sum(done) == len(await store.load("a-1")) == len(await store.load("a-3")) > 0
    assert await found_wrong(database.reader) == set()


async def test_concurrent_loads_see_whole_appends_only(database: Database) -> None:
    async with opened(database.app) as (store, _):
        stop = asyncio.Event()

        async def look() -> int:
            looks = 0
            while not stop.is_set():
                found = await store.load_many({"a-1": 0, "a-2": 0})
                assert len(found["a-1"]) == len(found["a-2"])
                looks += 1
            return looks

        looking = asyncio.create_task(look())
        last: dict[str, object] = {}
        for turn in range(100):
            writes = [write(n, event(), after=last.get(n)) for n in ("a-1", "a-2")]  # type: ignore[arg-type]
            for e in await stored(store, f"c{turn}", *writes):
                last[e.stream] = e
        stop.set()
        assert await looking > 10
