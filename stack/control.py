"""Acting on a stack from outside its supervisor thread: killing a part on purpose, and signals to this process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from stack.errors import StackError
from stack.info import StackState


def crash(data_dir: Path, part: str) -> list[int]:
    """SIGKILL the processes of a part of the stack on this data directory; its supervisor restarts them.

    Returns the numbers of those killed. Raises `StackError` when no such stack or part is running.
    """
    state = StackState.read(data_dir)
    if state is None or state.supervisor.identity.process() is None:
        raise StackError(f"no stack is running on {data_dir}")
    mine = [record for record in state.children if record.part == part]
    if not mine:
        known = ", ".join(sorted({record.part for record in state.children})) or "nothing"
        raise StackError(f"this stack runs no {part}; it runs {known}")
    killed = []
    for record in mine:
        process = record.identity.process()
        if process is not None:
            process.kill()
            killed.append(record.pid)
    return killed


@contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP count as Ctrl-C during the block; nothing changes outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, frame: FrameType | None) -> None:
        on_ctrl_c = signal.getsignal(signal.SIGINT)
        if callable(on_ctrl_c):  # asyncio's, while its loop runs: it ends the loop's tasks in order
            on_ctrl_c(signal.SIGINT, frame)
        else:  # Ctrl-C is ignored here, as in a shell's background jobs; these signals are not
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
