"""handle(): decide on what is cached, never refuse on what is stale, never have two effects."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from eventstore.batch import Prepared
from eventstore.connect import Pool
from eventstore.errors import ConcurrencyError, IdempotencyConflictError, StoreUnavailable
from eventstore.events import Outcome
from eventstore.handle import Decision
from eventstore.store import EventStore
from tests.fixtures.database import Database
from tests.fixtures.log import AT, Counter, CounterCodec, Counters, Refused, found_wrong, opened


@pytest.fixture
async def store(database: Database) -> AsyncIterator[EventStore]:
    async with opened(database.app, 8) as (store, _):
        yield store
    assert await found_wrong(database.reader) == set()


async def test_a_command_is_stored_and_the_cache_follows(store: EventStore) -> None:
    counters = Counters(store)
    handled = await counters.move("c1", {"a": 5, "b": 3})
    assert (handled.outcome, handled.repeated, handled.events) == (
        {"totals": {"a": 5, "b": 3}},
        False,
        {"a": [5], "b": [3]},
    )
    assert handled.append_id is not None
    await counters.move("c2", {"a": -5, "b": 5})
    assert counters.codec.decoded == 0  # neither needed to read its own events again
    assert await counters.aggregates.state("a") == (Counter(0, 2), 2)
    assert await Counters(store).aggregates.state("b") == (Counter(8, 2), 2)


async def test_a_refusal_on_a_stale_state_is_decided_again(store: EventStore) -> None:
    here, elsewhere = Counters(store), Counters(store)
    await here.move("c1", {"a": 1})
    await elsewhere.move("c2", {"a": 10})
    assert (await here.move("c3", {"a": -11})).outcome == {"totals": {"a": 0}}
    with pytest.raises(Refused):
        await elsewhere.move("c4", {"a": -1})


async def test_an_acceptance_on_a_stale_state_is_decided_again(store: EventStore) -> None:
    here, elsewhere = Counters(store), Counters(store)
    await here.move("c1", {"a": 10})
    await elsewhere.move("c2", {"a": -10})
    with pytest.raises(Refused):
        await here.move("c3", {"a": -1})
    assert (await here.aggregates.state("a"))[0].total == 0


@pytest.mark.parametrize("process", ["the same", "another"])
async def test_a_stream_that_was_taken_not_to_exist_is_looked_at_after_all(
    store: EventStore, process: str
) -> None:
    here = Counters(store)
    await here.move("c1", {"a": 5})
    now = here if process == "the same" else Counters(store)

    def double(states: dict[str, Counter]) -> Decision:
        return Decision({"a": [states["a"].total or 1]}, {})

    for again in (False, True):
        handled = await now.aggregates.handle("c2", b"", ["a"], double, {}, AT, begins=True)
        assert (handled.repeated, handled.events) == (again, {} if again else {"a": [5]})
    assert (await Counters(store).aggregates.state("a"))[0].total == 10


async def test_a_state_only_asked_about_counts_as_well(store: EventStore) -> None:
    """b gets no event, but what a gets rests on it."""
    here, elsewhere = Counters(store), Counters(store)
    await here.move("c1", {"a": 10, "b": 1})
    await elsewhere.move("c2", {"b": 1})

    def copy_b(states: dict[str, Counter]) -> Decision:
        return Decision({"a": [states["b"].total]}, {}, asked={"a", "b"})

    handled = await here.aggregates.handle("c3", b"", ["a", "b"], copy_b, {}, AT)
    assert handled.events == {"a": [2]}


async def test_a_repeat_returns_the_stored_outcome(store: EventStore) -> None:
    here = Counters(store)
    first = await here.move("c1", {"a": 5})
    await here.move("c2", {"a": 1})
    for counters in (here, Counters(store)):
        again = await counters.move("c1", {"a": 5})
        assert (again.outcome, again.append_id, again.repeated, again.events) == (
            first.outcome, first.append_id, True, {},
        )  # fmt: skip
    assert (await here.aggregates.state("a"))[0].total == 6


async def test_a_repeat_that_would_now_be_refused_returns_the_stored_outcome(store: EventStore) -> None:
    here = Counters(store)
    await here.move("c1", {"a": 5})
    first = await here.move("c2", {"a": -5})
    for counters in (here, Counters(store)):
        again = await counters.move("c2", {"a": -5})
        assert (again.outcome, again.repeated) == (first.outcome, True)


async def test_a_repeat_with_nothing_left_to_do_returns_the_stored_outcome(store: EventStore) -> None:
    def up_to_five(states: dict[str, Counter]) -> Decision:
        missing = 5 - states["a"].total
        return Decision({"a": [missing] if missing else []}, {"added": missing})

    for repeated in (False, True):
        counters = Counters(store)
        handled = await counters.aggregates.handle("c1", b"", ["a"], up_to_five, {}, AT)
        assert (handled.outcome, handled.repeated) == ({"added": 5}, repeated)
    other = await counters.aggregates.handle("c2", b"", ["a"], up_to_five, {}, AT)
    assert (other.outcome, other.append_id, other.repeated) == ({"added": 0}, None, False)
    assert await store.find_command("c2") is None


@pytest.mark.parametrize("amount", [5, -100, 0])
async def test_the_same_id_with_other_content_is_refused_whatever_would_be_decided(
    store: EventStore, amount: int
) -> None:
    await Counters(store).move("c1", {"a": 1})
    counters = Counters(store)
    with pytest.raises(IdempotencyConflictError):
        await counters.move("c1", {"a": amount})
    assert (await counters.aggregates.state("a"))[0].total == 1


async def test_of_32_at_once_on_what_affords_10_exactly_10_go_through(database: Database) -> None:
    async with opened(database.app) as (one, _), opened(database.app) as (two, _):
        processes = [Counters(one), Counters(two)]
        await processes[0].move("fund", {"a": 10})
        results = await asyncio.gather(
            *(processes[n % 2].move(f"c{n}", {"a": -1, f"to-{n}": 1}) for n in range(32)), return_exceptions=True
        )
        assert sum(not isinstance(result, BaseException) for result in results) == 10
        assert sum(isinstance(result, Refused) for result in results) == 22
        for counters in processes:
            assert (await counters.aggregates.state("a"))[0].total == 0
    assert await found_wrong(database.reader) == set()


async def test_fifty_identical_commands_have_one_effect(store: EventStore) -> None:
    processes = [Counters(store), Counters(store)]
    handled = await asyncio.gather(*(processes[n % 2].move("c1", {"a": 1, "b": 1}) for n in range(50)))
    assert sum(not h.repeated for h in handled) == 1
    assert {str(h.outcome) for h in handled} == {"{'totals': {'a': 1, 'b': 1}}"}
    assert (await processes[0].aggregates.state("a"))[0].total == 1


async def test_the_attempts_are_bounded(store: EventStore) -> None:
    here, elsewhere = Counters(store, max_attempts=3), Counters(store)
    turn = 0

    def decide(states: dict[str, Counter]) -> Decision:
        return Decision({"a": [1]}, {})

    send = here.committer.send

    async def overtaken(prepared: Prepared) -> Outcome:
        nonlocal turn
        turn += 1
        await elsewhere.move(f"other-{turn}", {"a": 1})
        return await send(prepared)

    here.committer.send = lambda prepared: asyncio.ensure_future(overtaken(prepared))  # type: ignore[method-assign]
    with pytest.raises(ConcurrencyError):
        await here.aggregates.handle("c1", b"", ["a"], decide, {}, AT)
    assert turn == 3
    assert await store.find_command("c1") is None


async def test_after_an_unknown_outcome_nothing_cached_is_trusted(store: EventStore) -> None:
    """The answer is lost after the commit; the retry of the same command must get the first one's outcome."""
    here = Counters(store)
    await here.move("c1", {"a": 10})
    send = here.committer.send

    async def lost(prepared: Prepared) -> Outcome:
        await send(prepared)
        raise StoreUnavailable("the connection broke")

    here.committer.send = lambda prepared: asyncio.ensure_future(lost(prepared))  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await here.move("c2", {"a": -10})
    here.committer.send = send  # type: ignore[method-assign]
    sent = here.committer.requests
    await here.move("c2b", {"a": 0, "b": 1})
    assert here.committer.requests == sent + 1  # loaded anew, so no version conflict came first
    assert (await here.move("c2", {"a": -10})).repeated
    with pytest.raises(Refused):
        await here.move("c3", {"a": -1})


async def test_commands_on_one_stream_share_commits(store: EventStore) -> None:
    """Everybody writes to `fees`, and nobody waits for another's commit to be decided."""
    here = Counters(store)
    done = await asyncio.gather(*(here.move(f"c{n}", {f"a-{n}": 10, "fees": 1}) for n in range(60)))
    assert sorted(handled.outcome["totals"]["fees"] for handled in done) == list(range(1, 61))
    assert here.committer.requests == 60
    assert here.committer.batches <= 6
    assert (await here.aggregates.state("fees")) == (Counter(60, 60), 60)


class SlowOnce(EventStore):
    """Once `holds` is set, the next batch waits until it is told what becomes of it."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self.holds = False
        self.held = asyncio.Event()
        self.fate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def append_prepared(self, batch: Sequence[Prepared]) -> list[Outcome]:
        if self.holds:
            self.holds = False
            self.held.set()
            await self.fate
        return await super().append_prepared(batch)


@pytest.mark.parametrize("stored", [True, False])
async def test_a_refusal_waits_for_what_it_rests_on(database: Database, stored: bool) -> None:
    """Refused because of a withdrawal that is on its way: if that fails, the money is there."""
    async with opened(database.app) as (_, pool):
        here = Counters(slow := SlowOnce(pool))
        await here.move("fund", {"a": 10})
        slow.holds = True
        first = asyncio.create_task(here.move("c1", {"a": -10}))
        await slow.held.wait()
        second = asyncio.create_task(here.move("c2", {"a": -10}))
        done, _ = await asyncio.wait([first, second], timeout=0.2)
        assert not done
        if stored:
            slow.fate.set_result(None)
            assert (await first).outcome == {"totals": {"a": 0}}
            with pytest.raises(Refused):
                await second
            assert here.committer.requests == 2, "what was refused was not sent either"
        else:
            slow.fate.set_exception(StoreUnavailable("the connection broke"))
            with pytest.raises(StoreUnavailable):
                await first
            assert (await second).outcome == {"totals": {"a": 0}}


async def test_what_was_decided_on_an_append_that_failed_is_decided_again(database: Database) -> None:
    async with opened(database.app) as (store, pool):
        here, elsewhere = Counters(slow := SlowOnce(pool)), Counters(store)
        await here.move("fund", {"a": 10})
        slow.holds = True
        tasks = [asyncio.create_task(here.move(f"c{n}", {"a": -1, f"b-{n}": 1})) for n in range(5)]
        await slow.held.wait()
        await elsewhere.move("taken", {"a": -7})
        slow.fate.set_result(None)
        results: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
        left = sorted(handled.outcome["totals"]["a"] for handled in results if not isinstance(handled, Refused))
        assert left == [0, 1, 2]
        assert here.committer.requests == 1 + 5 + 3, "none was decided on what had failed already"
        assert (await elsewhere.aggregates.state("a"))[0].total == 0
        assert not len(here.aggregates._under_way)
    assert await found_wrong(database.reader) == set()


async def test_cancelled_commands_leave_no_lock_and_no_half_effect(store: EventStore) -> None:
    here = Counters(store)
    await here.move("fund", {"a": 1000})
    chance = random.Random(7)
    for turn in range(20):
        tasks = [asyncio.create_task(here.move(f"c-{turn}-{n}", {"a": -1, f"b-{n}": 1})) for n in range(6)]
        await asyncio.sleep(chance.uniform(0, 0.006))
        for task in chance.sample(tasks, 3):
            task.cancel()
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(10):
        total, _ = await here.aggregates.state("a")
        moved = [(await here.aggregates.state(f"b-{n}"))[0].total for n in range(6)]
        # What was under way when its caller was cancelled may still commit.
        await here.committer.close()
        total, _ = await here.aggregates.state("a")
        moved = [(await here.aggregates.state(f"b-{n}"))[0].total for n in range(6)]
    assert total.total + sum(moved) == 1000
    assert not here.aggregates._locks._locks
    assert not len(here.aggregates._under_way)


async def test_snapshots_shorten_loading_and_are_ignored_when_their_meaning_changed(store: EventStore) -> None:
    writer = Counters(store, snapshot_every=10)
    for number in range(25):
        await writer.move(f"c{number}", {"a": 1})
    await writer.aggregates.close()
    snapshot = (await store.load_snapshots(["a", "b"]))["a"]
    assert (snapshot.version, snapshot.state_version, snapshot.state) == (20, 1, {"total": 20, "entries": 20})
    for version, decoded in ((1, 5), (2, 25)):
        reader = Counters(store, CounterCodec(version=version))
        assert await reader.aggregates.state("a") == (Counter(25, 25), 25)
        assert reader.codec.decoded == decoded


async def test_a_snapshot_of_a_newer_meaning_replaces_the_old_one(store: EventStore) -> None:
    old, new = Counters(store, snapshot_every=5), Counters(store, CounterCodec(version=2), snapshot_every=5)
    for number in range(10):
        await (old if number < 7 else new).move(f"c{number}", {"a": 1})
    await old.aggregates.close()
    await new.aggregates.close()
    snapshot = (await store.load_snapshots(["a"]))["a"]
    assert (snapshot.version, snapshot.state_version) == (10, 2)
    await store.save_snapshot(replace(snapshot, version=5))
    assert (await store.load_snapshots(["a"]))["a"] == snapshot  # an older one does not
    assert await Counters(store).aggregates.state("a") == (Counter(10, 10), 10)


async def test_a_snapshot_at_the_very_end_needs_no_event(store: EventStore) -> None:
    writer = Counters(store, snapshot_every=5)
    for number in range(5):
        await writer.move(f"c{number}", {"a": 1})
    await writer.aggregates.close()
    reader = Counters(store)
    assert await reader.aggregates.state("a") == (Counter(5, 5), 5)
    assert reader.codec.decoded == 0
    await reader.move("more", {"a": 1})


async def test_a_snapshot_that_cannot_be_saved_is_logged_and_nothing_else(
    store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(CounterCodec):
        def dump_state(self, stream: str, state: Counter) -> dict[str, Any]:
            raise RuntimeError("cannot")

    counters = Counters(store, Broken(), snapshot_every=1)
    await counters.move("c1", {"a": 1})
    await counters.aggregates.close()
    assert "could not save a snapshot of a" in caplog.text


async def test_the_cache_is_bounded_and_loses_nothing(store: EventStore) -> None:
    counters = Counters(store, cache_size=3)
    for turn in range(3):
        for number in range(8):
            await counters.move(f"c-{turn}-{number}", {f"a-{number}": 1})
    assert [(await counters.aggregates.state(f"a-{n}"))[0].total for n in range(8)] == [3] * 8
    assert len(counters.aggregates._cache._known) == 3


async def test_deciding_on_a_stream_that_was_not_named_is_a_bug(store: EventStore) -> None:
    def decide(states: dict[str, Counter]) -> Decision:
        return Decision({"b": [1]}, {})

    with pytest.raises(AssertionError, match="b"):
        await Counters(store).aggregates.handle("c1", b"", ["a"], decide, {}, AT)


@pytest.mark.parametrize("seed", range(6))
async def test_random_interleavings_of_two_processes_agree_with_a_model(database: Database, seed: int) -> None:
    """Moves between few counters from two processes, some repeated, some cancelled. Then the log decides: replayed
    in the order of its appends nothing is ever overspent, and each command counts once.
    """
    chance = random.Random(seed)
    async with opened(database.app) as (one, _), opened(database.app) as (two, _):
        processes = [Counters(one), Counters(two, cache_size=2)]
        names = ["a", "b", "c", "d"]
        await processes[0].move("fund", dict.fromkeys(names, 5))
        commands = []
        for number in range(60):
            source, target = chance.sample(names, 2)
            amount = chance.randint(0, 6)
            commands.append((f"c{number}", {source: -amount, target: amount}))
        calls = [chance.choice(commands) for _ in range(60)] + commands
        chance.shuffle(calls)

        async def call(
            command_id: str, amounts: dict[str, int], process: Counters, wait_s: float, die: bool
        ) -> Any:
            await asyncio.sleep(wait_s)
            task = asyncio.ensure_future(process.move(command_id, amounts))
            if die:
                await asyncio.sleep(0.002)
                task.cancel()
            return await task

        results = await asyncio.gather(
            *(
                call(*command, chance.choice(processes), chance.uniform(0, 0.05), chance.random() < 0.1)
                for command in calls
            ),
            return_exceptions=True,
        )
        for counters in processes:
            await counters.committer.close()
        await must_agree(one, names, dict(commands), calls, results)
        for counters in processes:
            for name in names:
                state, version = await counters.aggregates.state(name)
                events = await one.load(name)
                assert (state.total, version) == (sum(e.data["amount"] for e in events), len(events))
    assert await found_wrong(database.reader) == set()


async def must_agree(
    store: EventStore, names: list[str], commands: dict[str, dict[str, int]], calls: list[Any], results: list[Any]
) -> None:
    events = sorted(
        (e for es in (await store.load_many(dict.fromkeys(names, 0))).values() for e in es), key=lambda e: e.id
    )
    appends: dict[str, dict[str, int]] = {}
    ids: dict[str, int] = {}
    for e in events:
        command_id = e.metadata["command_id"]
        assert ids.setdefault(command_id, e.append_id) == e.append_id, "a command with two effects"
        appends.setdefault(command_id, {})[e.stream] = e.data["amount"]
    totals = dict.fromkeys(names, 0)
    for command_id, amounts in appends.items():
        for stream, amount in amounts.items():
            totals[stream] += amount
        assert command_id == "fund" or amounts == commands[command_id]
        assert min(totals.values()) >= 0, "overspent"
    assert sum(totals.values()) == 5 * len(names)
    for (command_id, amounts), result in zip(calls, results, strict=True):
        if isinstance(result, (Refused, asyncio.CancelledError)):
            continue
        assert not isinstance(result, BaseException), result
        stored = await store.find_command(command_id)
        if any(amounts.values()):
            assert command_id in appends
            assert stored is not None
            assert result.outcome == stored.outcome
        else:
            assert stored is None


async def test_with_one_connection_only_nothing_hangs(database: Database) -> None:
    async with opened(database.app, 1) as (store, _):
        counters = Counters(store, snapshot_every=2)
        async with asyncio.timeout(20):
            await asyncio.gather(*(counters.move(f"c{n}", {"a": 1, f"b-{n}": 1}) for n in range(40)))
            await counters.aggregates.close()
        assert (await counters.aggregates.state("a"))[0].total == 40
