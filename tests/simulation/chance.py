"""All chance of a run comes from here: one seed, and nothing else decides.

Each draw is named by what it decides and how often that was decided before, and depends on no other draw. So a run
from which one fault is taken away goes on as before wherever it can, which is what makes shrinking work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from struct import Struct
from typing import TypeVar

T = TypeVar("T")

_AT_ONCE = 16
"""Draws that one digest gives, of 32 bits each."""
_NUMBERS = Struct(f"<{_AT_ONCE}I").unpack


class Chance:
    """`kept` names the elements (faults, wishes) that may happen; None: all of them. `met` are those that did."""

    def __init__(self, seed: int, kept: frozenset[str] | None = None) -> None:
        self._seed = str(seed).encode()
        self._kept = kept
        self._digests: Counter[str] = Counter()
        self._coming: dict[str, list[int]] = {}
        self.met: list[str] = []

    def fraction(self, what: str) -> float:
        """From 0 to below 1, evenly."""
        coming = self._coming.get(what) or self._more(what)
        return coming.pop() * 2.0**-32

    def _more(self, what: str) -> list[int]:
        digest = blake2b(f"{what}#{self._digests[what]}".encode(), key=self._seed).digest()
        self._digests[what] += 1
        coming = self._coming[what] = list(_NUMBERS(digest))
        return coming

    def _drawn(self, what: str) -> int:
        return self._digests[what] * _AT_ONCE - len(self._coming[what])

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
        return hit and self.happens(f"{what}#{self._drawn(what)}")

    def happens(self, element: str) -> bool:
        """Whether an element that the seed calls for happens in this run."""
        if self._kept is not None and element not in self._kept:
            return False
        self.met.append(element)
        return True
