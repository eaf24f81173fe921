"""How far something long has come: a bar on a terminal, a plain line now and then elsewhere. On standard error."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.output import errors

Count = Callable[[str], None]
"""Call it with the outcome of each thing done."""

PLAIN_EVERY_S = 5.0


@contextmanager
def counting(what: str, total: int, quiet: bool = False) -> Iterator[Count]:
    """A display for the time of the block."""
    if quiet:
        yield lambda outcome: None
    elif errors.is_terminal:
        with _on_a_terminal(what, total) as count:
            yield count
    else:
        yield _plain(what, total)


@contextmanager
def _on_a_terminal(what: str, total: int) -> Iterator[Count]:
    seen: Counter[str] = Counter()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[outcomes]}"),
    )
    with Progress(*columns, console=errors, transient=True) as display:
        task = display.add_task(what, total=total, outcomes="")

        def count(outcome: str) -> None:
            seen[outcome] += 1
            display.update(task, advance=1, outcomes=_in_words(seen, at_most=2))

        yield count


def _plain(what: str, total: int) -> Count:
    seen: Counter[str] = Counter()
    said_at = time.monotonic()

    def count(outcome: str) -> None:
        nonlocal said_at
        seen[outcome] += 1
        done, now = seen.total(), time.monotonic()
        if done == total or now - said_at >= PLAIN_EVERY_S:
            said_at = now
            errors.print(f"{what}: {done} of {total} ({_in_words(seen)})", soft_wrap=True)

    return count


def _in_words(seen: Counter[str], at_most: int | None = None) -> str:
    words = [f"{n} {outcome.replace('_', ' ')}" for outcome, n in seen.most_common(at_most)]
    return ", ".join(words) + (", …" if len(words) < len(seen) else "")
