"""What goes wrong and when, decided from the seed alone before anything starts: the same seed, the same faults."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

FIRST_AT_S = 3.0
CALM_BEFORE_END_S = 3.0

PARTS = ("worker", "projector", "api", "postgres", "temporal")
POSTGRES_LINKS = ("worker-postgres", "projector-postgres", "api-postgres")
TEMPORAL_LINKS = ("worker-temporal", "api-temporal")
LINKS = POSTGRES_LINKS + TEMPORAL_LINKS


@dataclass(frozen=True)
class Kind:
    """A sort of fault: what it can be done to, and the shortest and longest time it lasts (seconds)."""

    targets: tuple[str, ...]
    least_s: float
    most_s: float


KINDS: dict[str, Kind] = {
    "kill": Kind(PARTS, 0, 0),
    "pause": Kind(PARTS, 2, 9),
    "cut": Kind(LINKS, 0, 4),
    "stall": Kind(LINKS, 1, 6),
    "delay": Kind(LINKS, 2, 6),
    "backends": Kind(("some", "all"), 0, 0),
    "lost-commit": Kind(POSTGRES_LINKS, 3, 3),
    "lost-answer": Kind(TEMPORAL_LINKS, 0.5, 1.5),
    "disk-full": Kind(("postgres",), 2, 5),
    "twice": Kind(("worker", "api"), 5, 5),
    "reset": Kind(("workflow",), 0, 0),
    "terminate": Kind(("workflow",), 0, 0),
    "rewind": Kind(("checkpoint",), 0, 0),
    "poison": Kind(("event",), 0, 0),
    "long-transaction": Kind(("postgres",), 4, 10),
}


@dataclass(frozen=True)
class Episode:
    """One fault: `at_s` after the start, for `lasts_s`. `dice` decides what else there is to choose."""

    number: int
    at_s: float
    kind: str
    target: str
    lasts_s: float
    dice: int

    @property
    def name(self) -> str:
        return f"{self.kind} {self.target}"

    def line(self) -> str:
        return f"{self.number:3} at {self.at_s:7.1f} s  {self.name:24} for {self.lasts_s:4.1f} s"


def kinds_of(text: str) -> list[str]:
    """`all`, `none`, or names separated by commas. Raises ValueError for a name that is none."""
    if text == "none":
        return []
    names = list(KINDS) if text == "all" else [name for name in text.split(",") if name]
    unknown = sorted(set(names) - KINDS.keys())
    if unknown:
        raise ValueError(f"no such fault: {', '.join(unknown)}; there are {', '.join(KINDS)}")
    return names


def plan(seed: int, duration_s: float, kinds: Sequence[str], gap_s: float) -> list[Episode]:
    """Every kind and target once before any comes again. `gap_s`: the mean time from one fault's end to the next;
    one in eight begins while the last one is still on.
    """
    dice = random.Random(seed)
    every = [(kind, target) for kind in kinds for target in KINDS[kind].targets]
    episodes: list[Episode] = []
    bag: list[tuple[str, str]] = []
    at_s = FIRST_AT_S
    while every:
        if not bag:
            bag = dice.sample(every, len(every))
        kind, target = bag.pop()
        lasts_s = round(dice.uniform(KINDS[kind].least_s, KINDS[kind].most_s), 1)
        if at_s + lasts_s > duration_s - CALM_BEFORE_END_S:
            break
        episodes.append(Episode(len(episodes) + 1, round(at_s, 1), kind, target, lasts_s, dice.getrandbits(32)))
        overlaps = dice.random() < 0.125
        at_s += lasts_s / 2 if overlaps else lasts_s + dice.uniform(0.5, 1.5) * gap_s
    return episodes
