"""The engine: follows the log for one group of views, as leader or as hot standby.

One read of the log feeds all views, one transaction commits them all. Where that fails each view goes on alone, so
that a view in trouble is late by itself. While a batch commits, the next is folded and the one after that is read.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from eventstore import queries
from projections.builds import clear_leftovers, create_build, install, load_parked, with_leftovers
from projections.connecting import Connect, leader_lock, rebuild_lock, try_lock
from projections.decoding import Dealer, Work, prepare
from projections.errors import CheckpointMoved, Fault, RebuildRunning, fault_of
from projections.model import Log, Record, Track, View
from projections.reading import ReadAhead
from projections.rebuild import live_build, rebuild
from projections.writing import Connection, commit, work_off

logger = structlog.get_logger()

WaitForNews = Callable[[int, float], Awaitable[object]]
"""`Tail.wait`: (after position, timeout in seconds)."""


@dataclass(frozen=True)
class RunnerSettings:
    """Times in seconds. After `attempts` failures of a batch its poison is looked for and parked."""

    group: str = "views"
    batch: int = 2000
    attempts: int = 5
    first_backoff_s: float = 0.05
    longest_backoff_s: float = 5.0
    reconnect_every_s: float = 0.2
    standby_poll_s: float = 0.5
    idle_poll_s: float = 1.0


class Runner:
    """`run` until told to stop. `standing_by` is set once it leads, or waits for the leader to go."""

    def __init__(
        self,
        views: Sequence[View],
        connect: Connect,
        log: Log,
        wait: WaitForNews,
        settings: RunnerSettings | None = None,
    ) -> None:
        self._views = views
        self._connect = connect
        self._source = log
        self._wait = wait
        self._settings = settings or RunnerSettings()
        self._dealer = Dealer(views)
        self._upgrades: dict[str, asyncio.Task[None]] = {}
        self._log = logger.bind(group=self._settings.group)
        self._look_at = 0.0
        self.standing_by = asyncio.Event()
        self.leading = False

    async def run(self, stop: asyncio.Event) -> None:
        """Never raises but CancelledError: what fails is logged and tried again."""
        failures = 0
        while not stop.is_set():
            try:
                async with self._connect() as connection:
                    await install(connection)
                    await self._lead_when_free(connection, stop)
                    failures = 0
            except Exception as error:
                failures += 1
                self._log.warning("projection_interrupted", error=f"{type(error).__name__}: {error}"[:500])
                backoff_s = self._backoff(failures)
                if fault_of(error) is Fault.TRANSIENT:  # Postgres is away: be there when it is back
                    backoff_s = min(backoff_s, self._settings.reconnect_every_s)
                await _pause(stop, backoff_s)
            finally:
                self.leading = False
                await self._end_upgrades()

    async def _lead_when_free(self, connection: Connection, stop: asyncio.Event) -> None:
        while not await try_lock(connection, leader_lock(self._settings.group)):
            self.standing_by.set()
            await _pause(stop, self._settings.standby_poll_s)
            if stop.is_set():
                return
        await connection.execute(queries.HOLD_LEAD)
        self.leading = True
        self._log.info("projection_leading")
        leftovers = await with_leftovers(connection)
        for view in self._views:
            if view.name in leftovers:
                await self._still_there(connection)
                await self._clear(view)
        while not stop.is_set():
            tracks = await self._tracks(connection)
            self.standing_by.set()
            try:
                await self._follow(connection, tracks, stop)
            except Exception as error:
                if fault_of(error) is not Fault.MOVED:
                    raise
                self._log.info("projection_checkpoint_moved")

    # --- builds ------------------------------------------------------------

    async def _tracks(self, connection: Connection) -> list[Track]:
        """The live build of each view that this code knows how to fold; newer versions are built beside."""
        tracks = []
        for view in self._views:
            live = await live_build(connection, view.name)
            if live is None:
                tracks.append(await create_build(connection, view, "live"))
            elif live.version == view.version:
                tracks.append(await load_parked(connection, Track(view, live.build, live.position, live.epoch)))
            elif live.version < view.version:
                self._start_upgrade(view)
            else:
                self._log.warning("projection_view_is_newer", view=view.name, live=live.version, ours=view.version)
        return tracks

    async def _clear(self, view: View) -> None:
        """Leftovers of a rebuild that died; while one runs it holds the lock, and nothing is touched."""
        async with self._connect() as connection:
            if await try_lock(connection, rebuild_lock(view.name)):
                await clear_leftovers(connection, view.name)

    def _start_upgrade(self, view: View) -> None:
        if view.name not in self._upgrades or self._upgrades[view.name].done():
            self._upgrades[view.name] = asyncio.create_task(self._upgrade(view), name=f"upgrade-{view.name}")

    async def _upgrade(self, view: View) -> None:
        failures = 0
        while True:
            try:
                done = await rebuild(view, self._connect, self._source)
            except Exception as error:
                failures += 1
                level = "info" if isinstance(error, RebuildRunning) else "warning"
                getattr(self._log, level)("projection_upgrade_failed", view=view.name, error=str(error)[:500])
                await asyncio.sleep(self._backoff(failures))
                continue
            self._log.info("projection_upgraded", view=view.name, version=view.version, position=done.position)
            return

    async def _end_upgrades(self) -> None:
        for task in self._upgrades.values():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._upgrades.clear()

    def _upgraded(self) -> bool:
        done = [name for name, task in self._upgrades.items() if task.done()]
        for name in done:
            del self._upgrades[name]
        return bool(done)

    # --- following ------------------------------------------------------------

    async def _follow(self, connection: Connection, tracks: list[Track], stop: asyncio.Event) -> None:
        committing: asyncio.Task[None] | None = None
        planned = {track.build: track.position for track in tracks}
        log = ReadAhead(self._source, self._settings.batch)
        try:
            while not stop.is_set():
                healthy = [track for track in tracks if not track.failures]
                since = min((planned[track.build] for track in healthy), default=0)
                records = await log.after(since) if healthy else []
                works, failing = self._prepare(healthy, planned, records)
                if committing is not None:
                    await committing
                    committing = None
                for track, error in failing:
                    self._failed(track, error)
                if works:
                    committing = asyncio.create_task(self._commit(connection, works))
                    planned |= {work.track.build: work.upto for work in works}
                if len(records) < self._settings.batch or any(track.failures for track in tracks):
                    if committing is not None:
                        await committing
                        committing = None
                    planned = {track.build: track.position for track in tracks}
                    await self._mend(connection, tracks)
                    if self._upgraded():
                        raise CheckpointMoved("an upgraded view is live")
                    if not records:
                        await self._still_there(connection)
                    await self._rest(tracks, stop)
        finally:
            await log.close()
            if committing is not None:
                with suppress(Exception):
                    await committing

    def _prepare(
        self, tracks: Sequence[Track], planned: dict[int, int], records: Sequence[Record]
    ) -> tuple[list[Work], list[tuple[Track, Exception]]]:
        works: list[Work] = []
        failing: list[tuple[Track, Exception]] = []
        if not records:
            return works, failing
        dealt = self._dealer.deal(records)
        for track in tracks:
            since = planned[track.build]
            if since >= dealt.upto:
                continue
            try:
                works.append(prepare(track, since, dealt))
            except Exception as error:
                failing.append((track, error))
        return works, failing

    async def _commit(self, connection: Connection, works: Sequence[Work]) -> None:
        """All together; where that fails for another reason than the weather, each alone."""
        try:
            await commit(connection, works)
        except Exception as error:
            if fault_of(error) in (Fault.MOVED, Fault.TRANSIENT):
                raise
            for work in works:
                try:
                    await commit(connection, [work])
                except Exception as its_own:
                    if fault_of(its_own) in (Fault.MOVED, Fault.TRANSIENT):
                        raise
                    self._failed(work.track, its_own)

    # --- views in trouble ------------------------------------------------------------

    def _failed(self, track: Track, error: BaseException) -> None:
        track.failures += 1
        track.retry_at = time.monotonic() + self._backoff(track.failures)
        self._log.warning(
            "projection_view_failed",
            view=track.view.name,
            position=track.position,
            attempt=track.failures,
            error=f"{type(error).__name__}: {error}"[:500],
        )

    async def _mend(self, connection: Connection, tracks: Sequence[Track]) -> None:
        """Views that failed, each alone and not before its time; at last their poison is parked."""
        for track in tracks:
            if not track.failures or time.monotonic() < track.retry_at:
                continue
            records = await self._source.follow(track.position, self._settings.batch)
            parked = len(track.parked)
            try:
                if track.failures >= self._settings.attempts:
                    await work_off(connection, track, records)
                elif records:
                    await commit(connection, [prepare(track, track.position, Dealer([track.view]).deal(records))])
            except Exception as error:
                if fault_of(error) in (Fault.MOVED, Fault.TRANSIENT):
                    raise
                self._failed(track, error)
                continue
            if len(track.parked) > parked:
                self._log.error("projection_parked", view=track.view.name, streams=sorted(track.parked)[:20])
            track.failures = 0

    async def _still_there(self, connection: Connection) -> None:
        """Raises where the connection is gone, and with it our lock; Postgres ends one that is silent (HOLD_LEAD).
        A crash of Postgres also takes the commits of the last moments, which are there to be made again at once
        and not when the next event comes.
        """
        if time.monotonic() >= self._look_at:
            await connection.execute("SELECT")
            self._look_at = time.monotonic() + self._settings.idle_poll_s

    async def _rest(self, tracks: Sequence[Track], stop: asyncio.Event) -> None:
        """Until there is news for any of them, or a view in trouble is due."""
        timeout_s = self._settings.idle_poll_s
        for track in tracks:
            if track.failures:
                timeout_s = min(timeout_s, max(track.retry_at - time.monotonic(), 0.0))
        position = min((track.position for track in tracks if not track.failures), default=None)
        if position is None:
            await _pause(stop, timeout_s)
        else:
            await self._wait(position, timeout_s)

    def _backoff(self, failures: int) -> float:
        """Exponential, between half and the whole of it: a herd of retries spreads."""
        longest: float = min(
            self._settings.first_backoff_s * 2 ** min(failures, 16), self._settings.longest_backoff_s
        )
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load, guards nothing)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
