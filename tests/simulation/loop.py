"""An event loop without a clock: time jumps to the next timer. And processes in it, to be killed and stopped.

Handles run in the order they became ready, as on a real loop; what is random is how long things take.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MOST_STEPS = 2_000_000


class Killed(Exception):
    """Whatever a killed process still tries to do to the world."""


class Process:
    """A group of tasks with one fate. What it starts belongs to it, too."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.stopped = False
        self.tasks: set[asyncio.Task[Any]] = set()
        self.frozen: deque[asyncio.Handle] = deque()

    def __repr__(self) -> str:
        return self.name


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class EndlessRun(AssertionError):
    """It goes on and on: something retries for ever without time passing, or never ends."""


class SimLoop(asyncio.AbstractEventLoop):
    """`run(coroutine)` once; then it is done for."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._number = 0
        self.steps = 0
        self.crashes: list[BaseException] = []
        """What no task of a process and no callback may raise: the run ends with the first of them."""

    # --- processes ------------------------------------------------------------

    def spawn(self, process: Process, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """A task of the process."""
        context = copy_context()
        context.run(PROCESS.set, process)
        task = context.run(self.create_task, work, name=name)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, Killed):
            self.crashes.append(error)

    def kill(self, process: Process) -> None:
        """Now, in the middle of whatever it does. Nothing that its clean-up does reaches the world any more."""
        process.alive = False
        self.resume(process)
        for task in list(process.tasks):
            task.cancel()

    def freeze(self, process: Process) -> None:
        """SIGSTOP: none of its code runs, but its timers go on and what arrives for it waits."""
        process.stopped = True

    def resume(self, process: Process) -> None:
        """SIGCONT: all at once."""
        process.stopped = False
        self._ready.extend(process.frozen)
        process.frozen.clear()

    # --- running ------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """`main` to its end, then whatever else there is cancelled."""
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(main, name="main")
            self._until(task)
            return task.result()
        finally:
            self._cancel_all()
            asyncio._set_running_loop(None)

    def _until(self, task: asyncio.Task[Any]) -> None:
        while not task.done():
            self._step()
            if self.crashes:
                raise self.crashes[0]

    def _step(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise EndlessRun(f"no end after {MOST_STEPS} steps, at {self._now:.3f} s")
        if not self._ready:
            if not self._timers:
                raise EndlessRun(f"everybody waits for somebody else, at {self._now:.3f} s")
            at, _, timer = heapq.heappop(self._timers)
            if timer._cancelled:
                return
            self._now = max(self._now, at)
            self._ready.append(timer)
        handle = self._ready.popleft()
        if handle._cancelled:
            return
        process = handle._context.get(PROCESS)  # type: ignore[attr-defined]
        if process is not None and process.stopped:
            process.frozen.append(handle)
            return
        handle._run()

    def _cancel_all(self) -> None:
        for _ in range(20):
            left = [task for task in asyncio.all_tasks(self) if not task.done()]
            for task in left:
                task.cancel()
            for _ in range(10_000):
                if not self._ready:
                    break
                handle = self._ready.popleft()
                if not handle._cancelled:
                    handle._run()
            if not left:
                return

    # --- what asyncio asks of a loop ------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._number += 1
        heapq.heappush(self._timers, (when, self._number, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is thrown away when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        process = PROCESS.get()
        if process is not None:
            process.tasks.add(task)
            task.add_done_callback(process.tasks.discard)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if "handle" in context and isinstance(error := context.get("exception"), BaseException):
            self.crashes.append(error)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False


def new_loop() -> SimLoop:
    """What a loop on a real machine has besides (sockets, signals, threads), raises NotImplementedError."""
    return SimLoop()  # type: ignore[abstract]
