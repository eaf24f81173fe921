"""Rows 1 to 4 and 9: payments and transfers against the usual sample, DBOS, empty workflows; the views' lag."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

import psycopg

from benchmarks.costs import Costs, database_counts, history_of
from benchmarks.measuring import BrokenInvariant, Measure, Row, alternate, share, tell
from benchmarks.side import PEERS_PYTHON, Side, side
from benchmarks.stand import Stand
from domain.streams import payment_stream, transfer_stream
from wiring import connect_temporal

IN_FLIGHT = (30, 100)
ROWS_OF = "SELECT count(*), count(DISTINCT payment) FROM steps"


async def sagas(stand: Stand, rounds: int, size: int, costs: dict[str, Any]) -> list[Row]:
    """`size`: payments of one side in one round. `costs` is told what each of them takes."""
    async with AsyncExitStack() as entered:
        sample_url, dbos_url = stand.database("peer_sample"), stand.database("peer_dbos")
        ours = await entered.enter_async_context(side("benchmarks.client", env=stand.ours))
        sample = "benchmarks.peers.temporal_sample"
        serving = await entered.enter_async_context(side(sample, "worker", stand.info.temporal, sample_url))
        peer = await entered.enter_async_context(side(sample, "client", stand.info.temporal))
        dbos = await entered.enter_async_context(
            side("benchmarks.peers.dbos_steps", dbos_url, python=PEERS_PYTHON)
        )
        counted = Costs(
            {
                **stand.info.processes,
                "client with worker": [ours.process.pid],
                "peer's worker": [serving.process.pid],
                "peer's client": [peer.process.pid],
                "peer": [dbos.process.pid],
            }
        )
        sides: dict[str, Measure] = {}
        for at_once in IN_FLIGHT:
            sides[f"payments {at_once}"] = _of_ours(stand, ours, "payments", size, at_once)
            sides[f"sample {at_once}"] = _of_sample(peer, sample_url, size // 2, at_once)
            sides[f"transfers {at_once}"] = _of_ours(stand, ours, "transfers", size, at_once)
            sides[f"empty {at_once}"] = _of_ours(stand, ours, "empty", size, at_once)
        sides["dbos"] = _of_dbos(dbos, dbos_url, size)
        tell("warming up")
        for measure in sides.values():
            await measure()
        sizes = {name: size // 2 if name.startswith("sample") else size for name in sides}
        measured = {name: counted.of(name, sizes[name], measure) for name, measure in sides.items()}
        found = await alternate(rounds, measured, stand.conserved)
        costs["cpu_ms"] = counted.wire()
        costs["of_one"] = await _of_one(stand, ours, size)
    return _rows(found)


async def _of_one(stand: Stand, ours: Side, size: int) -> dict[str, dict[str, float]]:
    """What Postgres and Temporal keep and do for one payment and one transfer."""
    client = await connect_temporal(stand.info.temporal)
    found: dict[str, dict[str, float]] = {}
    for work, stream in (("payments", payment_stream), ("transfers", transfer_stream)):
        await stand.caught_up()
        before = await asyncio.to_thread(database_counts, stand.info.admin_database)
        answer = await ours.ask(work, n=size, at_once=IN_FLIGHT[0])
        await stand.caught_up()
        after = await asyncio.to_thread(database_counts, stand.info.admin_database)
        history = await history_of(client, stream(answer["last"]))
        each = {name: (after[name] - before[name]) / size for name in after}
        found[work] = {
            "history_events": history["events"],
            "workflow_tasks": history["workflow_tasks"],
            "history_bytes": history["bytes"],
            "log_events": each["events"],
            "commits": each["commits"],
            "wal_bytes": each["wal"],
        }
        found["stored"] = {
            "log_bytes_per_event": after["log"] / after["events"],
            "view_bytes_per_event": after["views"] / after["events"],
        }
    return {name: {k: round(v, 2) for k, v in each.items()} for name, each in found.items()}


def _rows(found: dict[str, list[float]]) -> list[Row]:
    rows: list[Row] = []
    for suffix, at_once in zip("ab", IN_FLIGHT, strict=True):
        payments, transfers = found[f"payments {at_once}"], found[f"transfers {at_once}"]
        sample, empty, flight = found[f"sample {at_once}"], found[f"empty {at_once}"], f"{at_once} in flight"
        usual = "usual sample: 4 remote activities, one insert each"
        what = f"payments, {flight}"
        rows += [
            Row(f"1{suffix}", what, usual, "per second", 3.0).fill(payments, sample),
            Row(f"2{suffix}", what, "DBOS: 4 steps, one insert each, 16 threads", "per second", 1.2).fill(
                payments, found["dbos"]
            ),
            Row(f"3{suffix}", what, "empty workflows: the limit", "per second", 0.6).fill(payments, empty),
            Row(f"4{suffix}", f"transfers (full saga), {flight}", usual, "per second", 2.5).fill(
                transfers, sample
            ),
        ]
    return sorted(rows, key=lambda row: row.number)


def _of_ours(stand: Stand, ours: Side, work: str, size: int, at_once: int) -> Measure:
    async def measure() -> float:
        started = time.perf_counter()
        answer = await ours.ask(work, n=size, at_once=at_once)
        if work != "empty":
            await stand.caught_up()
        return float(answer["done"]) / (time.perf_counter() - started)

    return measure


def _of_sample(peer: Side, url: str, size: int, at_once: int) -> Measure:
    async def measure() -> float:
        answer = await peer.ask("payments", n=size, at_once=at_once)
        await asyncio.to_thread(_has_all_steps, url, size, "the sample")
        return float(answer["done"]) / float(answer["seconds"])

    return measure


def _of_dbos(dbos: Side, url: str, size: int) -> Measure:
    async def measure() -> float:
        answer = await dbos.ask("payments", n=size, way="steps")
        await asyncio.to_thread(_has_all_steps, url, size, "DBOS")
        return float(answer["done"]) / float(answer["seconds"])

    return measure


def _has_all_steps(url: str, least: int, whose: str) -> None:
    """The peers' own invariant: four rows a payment."""
    with psycopg.connect(url) as connection:
        row = connection.execute(ROWS_OF).fetchone()
    assert row is not None
    if row[0] != 4 * row[1] or row[1] < least:
        raise BrokenInvariant(f"{whose} has {row[0]} rows for {row[1]} payments")


async def lag(stand: Stand, rounds: int, size: int) -> list[Row]:
    """Under the load of row 1 with 30 in flight. `size`: probes a round."""
    lags: list[float] = []
    commits: list[float] = []
    medians: tuple[list[float], list[float]] = ([], [])
    elsewhere = stand.database("peer_commits")
    environment = {**stand.ours, "TIDEMARK_READ_DATABASE_URL": stand.info.read_database}
    async with (
        side("benchmarks.client", env=stand.ours) as ours,
        side("benchmarks.prober", elsewhere, env=environment) as prober,
    ):
        await ours.ask("payments", n=100, at_once=IN_FLIGHT[0])
        for number in range(rounds):
            stop = asyncio.Event()
            load = asyncio.create_task(_keep_busy(ours, stop))
            await asyncio.sleep(0.5)
            answer = await prober.ask("probe", n=size)
            stop.set()
            await load
            await stand.conserved()
            lags += answer["lags"]
            commits += answer["commits"]
            medians[0].append(share(answer["lags"], 0.5))
            medians[1].append(share(answer["commits"], 0.5))
            tell(f"  round {number + 1}/{rounds}: lag {medians[0][-1]:.1f} ms, commit {medians[1][-1]:.1f} ms")
    against = "one durable commit of one row, median"
    return [
        Row("9a", "commit to view, p50", against, "ms", 5.0, at_most=True).fill(*medians),
        Row("9b", "commit to view, p99", against, "ms", 50.0, at_most=True).fill(
            [share(lags, 0.99)], [share(commits, 0.5)]
        ),
    ]


async def _keep_busy(ours: Side, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await ours.ask("payments", n=60, at_once=IN_FLIGHT[0])
