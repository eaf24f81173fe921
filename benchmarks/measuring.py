"""What a comparison is: two sides in turns, round by round, and the median of the rounds' own ratios.

The machine's weather changes from minute to minute; two sides of one round meet the same. Every other round the
order is turned round.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Measure = Callable[[], Awaitable[float]]
"""Does one round's work; how fast (a rate) or how long (a time) it was."""


class BrokenInvariant(Exception):
    """A run broke a promise: its figures are worth nothing."""


@dataclass(slots=True)
class Row:
    """One line of the table. `ratio` is ours to theirs, of rates or of times; `goal` its bound."""

    number: str
    work: str
    against: str
    unit: str
    goal: float
    at_most: bool = False
    """The goal is an upper bound: the figures are times."""
    ours: float = 0.0
    theirs: float = 0.0
    ratios: list[float] = field(default_factory=list)
    refused: str = ""
    """Why there is no figure."""

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool:
        if self.refused or not self.ratios:
            return False
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal

    def fill(self, ours: Sequence[float], theirs: Sequence[float]) -> Row:
        """From the rounds' figures, in order."""
        assert len(ours) == len(theirs) > 0
        self.ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        self.ours, self.theirs = statistics.median(ours), statistics.median(theirs)
        return self

    def wire(self) -> dict[str, Any]:
        shown = {
            "number": self.number,
            "work": self.work,
            "against": self.against,
            "unit": self.unit,
            "goal": self.goal,
            "at_most": self.at_most,
        }
        if self.refused or not self.ratios:
            return {**shown, "refused": self.refused or "not measured"}
        found = {"ours": self.ours, "theirs": self.theirs, "ratio": self.ratio}
        digits = {name: float(f"{value:.6g}") for name, value in found.items()}
        return {**shown, **digits, "ratios": [float(f"{each:.6g}") for each in self.ratios], "met": self.met}


async def alternate(
    rounds: int, sides: Mapping[str, Measure], after: Callable[[], Awaitable[None]] | None = None
) -> dict[str, list[float]]:
    """Each side once a round; then `after`, which may raise BrokenInvariant."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sides if number % 2 == 0 else reversed(list(sides)):
            found[name].append(await sides[name]())
        if after is not None:
            await after()
        tell(f"  round {number + 1}/{rounds}: " + ", ".join(f"{n} {v[-1]:.4g}" for n, v in found.items()))
    return found


def share(found: Sequence[float], part: float) -> float:
    """The value below which `part` of them are."""
    return sorted(found)[min(len(found) - 1, int(len(found) * part))]


def tell(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)
