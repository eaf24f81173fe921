"""What is going on, for whoever waits: one line that changes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console

# (part, message). A message is `phase` or `phase: detail`; only the detail changes while a phase lasts.
Progress = Callable[[str, str], None]

REPEAT_EVERY_S = 15.0


def no_progress(part: str, message: str) -> None:
    """For callers who do not care."""


class PlainLines:
    """Prints a line when a part enters another phase, and every 15 s while one lasts."""

    def __init__(self, out: IO[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._phase: dict[str, str] = {}
        self._printed_at: dict[str, float] = {}

    def __call__(self, part: str, message: str) -> None:
        phase = message.partition(":")[0]
        now = self._clock()
        if self._phase.get(part) == phase and now - self._printed_at[part] < REPEAT_EVERY_S:
            return
        self._phase[part], self._printed_at[part] = phase, now
        print(f"{part}: {message}", file=self._out, flush=True)


@contextmanager
def console_progress(console: Console | None = None) -> Iterator[Progress]:
    """A progress callback for the time of the block, on standard error unless a console is given."""
    console = console or Console(file=sys.stderr)
    if not console.is_terminal:
        yield PlainLines(console.file)
        return
    with console.status("starting") as status:
        yield lambda part, message: status.update(f"[bold]{part}[/bold] {message}")
