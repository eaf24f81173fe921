"""After a supervisor was killed: end the children it left behind, and only those."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import psutil

from stack.info import StackState
from stack.progress import Progress

POLITE_S, FIRM_S = 20.0, 5.0


def end_leftovers(data_dir: Path, progress: Progress) -> list[int]:
    """End the children recorded in a stale state file, then drop the file. Returns their numbers.

    Call with the data directory's lock held: then whoever wrote the file is gone. A child counts only if both its
    number and its start time match. Most are on their way out already: the kernel told them their parent died.
    Postgres needs no special word: its SIGTERM waits for its clients, who are told to go at the same time.
    """
    state = StackState.read(data_dir)
    if state is None:
        StackState.path(data_dir).unlink(missing_ok=True)
        return []
    left = [process for record in state.children if (process := record.identity.process()) is not None]
    if left:
        progress("stack", f"cleaning up after a supervisor that was killed: {len(left)} processes")
    _signal_all(left, kill=False)
    _, stubborn = psutil.wait_procs(left, timeout=POLITE_S)
    _signal_all(stubborn, kill=True)
    psutil.wait_procs(stubborn, timeout=FIRM_S)
    StackState.path(data_dir).unlink(missing_ok=True)
    return [process.pid for process in left]


def _signal_all(processes: list[psutil.Process], kill: bool) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
