"""An event loop without a clock: time jumps to the next timer. And processes in it, to be killed and stopped.

Handles run in the order they became ready, as on a real loop; what is random is how long things take.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sequence
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
        self.tasks: list[asyncio.Task[Any]] = []
        self.frozen: deque[Handle] = deque()

    def __repr__(self) -> str:
        return self.name


PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


class Handle(asyncio.TimerHandle):
    """What is to run in which context, soon or at a time. The base class's own set-up is most of what it costs."""

    __slots__ = ()
    _when: float
    _callback: Callable[..., object]
    _args: Sequence[Any]
    _context: Context

    def __init__(
        self, when: float, callback: Callable[..., object], args: Sequence[Any], loop: SimLoop, context: Context
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = context
        self._cancelled = False
        self._scheduled = False
        self._repr = None
        self._source_traceback = None


class Nap(Handle):
    """`await loop.nap(seconds)`: asyncio.sleep in half the steps, since the timer itself wakes the task.

    A timer, and as much of a future as a task asks for. Exactly one task waits for it.
    """

    __slots__ = ("_asyncio_future_blocking",)
    _loop: SimLoop

    def __init__(self, loop: SimLoop, seconds: float) -> None:
        self._loop = loop
        self._when = loop._now + seconds
        self._cancelled = False
        self._asyncio_future_blocking = True

    def __await__(self) -> Generator[Any, None, None]:
        yield self

    def add_done_callback(self, wake: Callable[[Nap], object], *, context: Context) -> None:
        self._callback, self._args, self._context = wake, (self,), context
        self._loop.push(self)

    def cancel(self, msg: object = None) -> bool:  # type: ignore[override]
        """Because the task is: it is woken now."""
        if self._cancelled:
            return False
        self._cancelled = True
        self._loop.call_soon(self._callback, self, context=self._context)
        return True

    def result(self) -> None:
        self._args = ()  # or it would be kept by itself
        if self._cancelled:
            raise asyncio.CancelledError


class EndlessRun(AssertionError):
    """It goes on and on: something retries for ever without time passing, or never ends."""


class SimLoop(asyncio.AbstractEventLoop):
    """`run(coroutine)` once; then it is done for."""

    def __init__(self) -> None:
        self._now = 0.0
        self._ready: deque[Handle] = deque()
        self._timers: list[tuple[float, int, Handle]] = []
        self._tasks: list[asyncio.Task[Any]] = []
        """All there ever were, the ended ones, too: asyncio.all_tasks() looks through those of other loops."""
        self._number = 0
        self.steps = 0
        self._crashes: list[BaseException] = []
        """What no task of a process may raise: the run ends with the first of them."""

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
            self._crashes.append(error)

    def kill(self, process: Process) -> None:
        """Now, in the middle of whatever it does. Nothing that its clean-up does reaches the world any more."""
        process.alive = False
        self.resume(process)
        for task in process.tasks:
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
            self._tasks.clear()
            self._timers.clear()

    def _until(self, task: asyncio.Task[Any]) -> None:
        """Whatever a callback raises, or a task of a process, ends it."""
        ready, crashes = self._ready, self._crashes
        while not task.done():
            handle = ready.popleft() if ready else self._next_timer()
            if handle._cancelled:
                continue
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise EndlessRun(f"no end after {MOST_STEPS} steps, at {self._now:.3f} s")
            process = handle._context.get(PROCESS)
            if process is not None and process.stopped:
                process.frozen.append(handle)
                continue
            handle._context.run(handle._callback, *handle._args)
            if crashes:
                raise crashes[0]

    def _next_timer(self) -> Handle:
        if not self._timers:
            raise EndlessRun(f"everybody waits for somebody else, at {self._now:.3f} s")
        at, _, timer = heapq.heappop(self._timers)
        if not timer._cancelled and at > self._now:
            self._now = at
        return timer

    def _cancel_all(self) -> None:
        for _ in range(20):
            left = [task for task in self._tasks if not task.done()]
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
    ) -> Handle:
        handle = Handle(self._now, callback, args, self, copy_context() if context is None else context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Handle:
        return self._timer(self._now + delay, callback, args, context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Handle:
        return self._timer(when, callback, args, context)

    def _timer(
        self, when: float, callback: Callable[..., object], args: Sequence[Any], context: Context | None
    ) -> Handle:
        timer = Handle(when, callback, args, self, copy_context() if context is None else context)
        self.push(timer)
        return timer

    def push(self, timer: Handle) -> None:
        self._number += 1
        heapq.heappush(self._timers, (timer._when, self._number, timer))

    def nap(self, seconds: float) -> Nap:
        """To be awaited at once."""
        return Nap(self, seconds)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is thrown away when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        process = PROCESS.get()
        if process is not None:
            process.tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What is raised while all is cancelled at the end, or by a task that nobody waits for."""

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False


def new_loop() -> SimLoop:
    """What a loop on a real machine has besides (sockets, signals, threads), raises NotImplementedError."""
    return SimLoop()  # type: ignore[abstract]
