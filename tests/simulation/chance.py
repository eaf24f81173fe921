"""All chance of a run comes from here: one seed, and nothing else decides.

Each draw is named by what it decides and how often that was decided before, and depends on no other draw. So a run
from which one fault is taken away goes on as before wherever it can, which is what makes shrinking work.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct
from typing import TypeVar

T = TypeVar("T")

_AT_ONCE = 4
"""Draws that one digest gives. Many purposes have but one draw."""
_NUMBERS = Struct(f"<{_AT_ONCE}Q").unpack


class _Draws:
    """Those of one purpose: how many there were, and a few that are to come."""

    __slots__ = ("coming", "number")

    def __init__(self) -> None:
        self.number = 0
        self.coming: list[float] = []


class Chance:
    """`kept` names the elements (faults, wishes) that may happen; None: all of them. `met` are those that did."""

    def __init__(self, seed: int, kept: frozenset[str] | None = None) -> None:
        self._seed = str(seed).encode()
        self._kept = kept
        self._draws: dict[str, _Draws] = {}
        self.met: list[str] = []

    def fraction(self, what: str) -> float:
        """From 0 to below 1, evenly."""
        draws = self._draws.get(what)
        if draws is None:
            draws = self._draws[what] = _Draws()
        if not draws.coming:
            key = f"{what}#{draws.number}".encode()
            digest = blake2b(key, digest_size=8 * _AT_ONCE, key=self._seed).digest()
            draws.coming = [(number >> 11) * 2.0**-53 for number in _NUMBERS(digest)]
        draws.number += 1
        return draws.coming.pop()

    def between(self, what: str, least: float, most: float) -> float:
        return least + (most - least) * self.fraction(what)

    def number(self, what: str, least: int, most: int) -> int:
        """Both ends included."""
        return least + int(self.fraction(what) * (most - least + 1))

    def one_of(self, what: str, choices: Sequence[T]) -> T:
        return choices[int(self.fraction(what) * len(choices))]

    def strikes(self, what: str, probability: float) -> bool:
        """Whether a fault happens here. Such a fault is an element: shrinking may take it away."""
        if not probability:
            return False
        hit = self.fraction(what) < probability
        return hit and self.happens(f"{what}#{self._draws[what].number}")

    def happens(self, element: str) -> bool:
        """Whether an element that the seed calls for happens in this run."""
        if self._kept is not None and element not in self._kept:
            return False
        self.met.append(element)
        return True
