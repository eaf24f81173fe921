"""What is going on, for whoever waits: one line that changes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from rich.console import Console
from rich.markup import escape

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
    """A progress callback, on standard error unless a console is given.

    It may be called after the block too: what happens then, a restart for instance, is printed as lines.
    """
    console = console or Console(file=sys.stderr)
    lines = PlainLines(console.file)
    if not console.is_terminal:
        yield lines
        return
    over = False
    with console.status("starting") as status:

        def show(part: str, message: str) -> None:
            if over:
                lines(part, message)
            else:
                status.update(f"[bold]{part}[/bold] {escape(message)}")

        yield show
    over = True
