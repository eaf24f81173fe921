"""Rows 6 to 8 and 11: appends and catching up, and what a hundred times the log does to them."""

from __future__ import annotations

import asyncio
import time

import psycopg

from benchmarks.measuring import BrokenInvariant, Measure, Row, alternate, tell
from benchmarks.side import PEERS_PYTHON, Side, side
from benchmarks.stand import Stand
from projections.catalogue import VIEWS

DENSE = """
SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM positions),
       (SELECT coalesce(max(position), 0) FROM positions)
"""
LOST = "SELECT count(*) FROM streams s WHERE version <> (SELECT count(*) FROM events e WHERE e.stream = s.stream)"


async def appends(stand: Stand, rounds: int, size: int) -> list[Row]:
    """Rows 6 and 7. `size`: pairs of events that 8 writers append in a round."""
    ours_url, peer_url, raw_url = (
        stand.database("log_appends", log=True),
        stand.database("peer_saves"),
        stand.database("log_raw", log=True),
    )
    async with (
        side("benchmarks.log_side", ours_url) as ours,
        side("benchmarks.peers.eventsourcing_saves", peer_url, python=PEERS_PYTHON) as peer,
        side("benchmarks.peers.raw", raw_url) as raw,
    ):
        pairs: dict[str, Measure] = {
            "ours": _rate(ours, "pairs", n=size * 3, writers=8),
            "eventsourcing": _rate(peer, "saves", n=size),
        }
        blocks = max(2, size // 60)
        batches: dict[str, Measure] = {
            "ours": _rate(ours, "batches", n=blocks),
            "raw insert": _rate(raw, "insert", n=blocks),
        }

        async def whole() -> None:
            await ours.ask("number_all")
            await asyncio.to_thread(_complete, ours_url)

        for measure in (*pairs.values(), *batches.values()):
            await measure()
        small = await alternate(rounds, pairs, whole)
        large = await alternate(rounds, batches, whole)
    saves, raw_insert = "eventsourcing: save of 2 events, 8 threads", "raw multi-row insert, same tables"
    six = Row("6", "append, 8 writers, 2 events each", saves, "per second", 5.0)
    seven = Row("7", "append, batches of 1,000 events", raw_insert, "events/s", 0.7)
    return [
        six.fill(small["ours"], small["eventsourcing"]),
        seven.fill(large["ours"], large["raw insert"]),
    ]


async def catching_up(stand: Stand, rounds: int, events: int) -> list[Row]:
    """Row 8, on a log of `events` events."""
    url = stand.database("log_views", log=True)
    async with side("benchmarks.log_side", url) as ours, side("benchmarks.peers.raw", url) as raw:
        await ours.ask("fill", events=events)
        head = (await ours.ask("number_all"))["head"]

        async def views() -> float:
            await ours.ask("forget_views")
            return float(head) / float((await ours.ask("catch_up"))["seconds"])

        async def whole() -> None:
            await _conserved(ours)

        sides: dict[str, Measure] = {"ours": views, "raw view": _rate(raw, "view", head=head)}
        found = await alternate(rounds, sides, whole)
    what, against = (
        f"catch-up of all {len(VIEWS)} views from position 0",
        "raw read and set-based upsert of one view",
    )
    return [Row("8", what, against, "events/s", 0.5).fill(found["ours"], found["raw view"])]


async def growth(stand: Stand, rounds: int, small: int, large: int) -> list[Row]:
    """Row 11: the same work on a log of `large` events against one of `small`, in turns."""
    urls = {name: stand.database(f"log_{name}", log=True) for name in ("small", "large")}
    async with (
        side("benchmarks.log_side", urls["small"]) as little,
        side("benchmarks.log_side", urls["large"]) as much,
    ):
        await _grow(little, small)
        await _grow(much, large)
        logs = {"small": little, "large": much}

        async def whole() -> None:
            for log in logs.values():
                await log.ask("number_all")
                await log.ask("catch_up")
                await _conserved(log)

        appended = await alternate(
            rounds, {n: _rate(log, "pairs", n=400, writers=8) for n, log in logs.items()}, whole
        )

        def following(log: Side) -> Measure:
            async def measure() -> float:
                before = (await log.ask("number_all"))["head"]
                await log.ask("fill", events=9_000)
                head = (await log.ask("number_all"))["head"]
                return float(head - before) / float((await log.ask("catch_up"))["seconds"])

            return measure

        followed = await alternate(rounds, {n: following(log) for n, log in logs.items()}, whole)
        answers: dict[str, dict[str, list[float]]] = {"small": {}, "large": {}}
        for number in range(rounds):
            for name, log in logs.items() if number % 2 == 0 else reversed(list(logs.items())):
                for question, seconds in (await log.ask("questions", times=40))["medians"].items():
                    answers[name].setdefault(question, []).append(1 / seconds)
    size = f"{large:,} events"
    itself = f"itself at {small:,}"
    rows = [
        Row("11a", f"append at {size}", itself, "per second", 0.8).fill(appended["large"], appended["small"]),
        Row("11b", f"catch-up at {size}", itself, "events/s", 0.8).fill(followed["large"], followed["small"]),
    ]
    reads = [
        Row("11c", f"{question.replace('_', ' ')} at {size}", itself, "per second", 0.8)
        .fill(answers["large"][question], answers["small"][question])
        for question in answers["small"]
    ]  # fmt: skip
    tell("  reads: " + ", ".join(f"{row.work} {row.ratio:.2f}" for row in reads))
    worst = min(reads, key=lambda row: row.ratio)
    worst.work = f"slowest-growing read ({worst.work})"
    return [*rows, worst]


async def _grow(log: Side, events: int) -> None:
    """In stretches, so that the views follow and progress shows."""
    started, head = time.monotonic(), 0
    while head < events:
        await log.ask("fill", events=min(100_000, events - head))
        head = (await log.ask("number_all"))["head"]
        await log.ask("catch_up")
        tell(f"  log of {events:,}: {head:,} events after {time.monotonic() - started:.0f} s")
    await log.ask("vacuum")
    await _conserved(log)


async def _conserved(log: Side) -> None:
    answer = await log.ask("conserved")
    if answer["broken"] or not answer["seen"]:
        raise BrokenInvariant(f"conservation: {answer['broken'] or 'no currency seen'}")


def _rate(one: Side, work: str, **parameters: int) -> Measure:
    async def measure() -> float:
        answer = await one.ask(work, **parameters)
        return float(answer["done"]) / float(answer["seconds"])

    return measure


def _complete(url: str) -> None:
    with psycopg.connect(url) as connection:
        dense, lost = connection.execute(DENSE).fetchone(), connection.execute(LOST).fetchone()
    assert dense is not None
    assert lost is not None
    if not dense[0] == dense[1] == dense[2] or lost[0]:
        raise BrokenInvariant(
            f"{dense[0]} events, {dense[1]} positions up to {dense[2]}, {lost[0]} streams with gaps"
        )
