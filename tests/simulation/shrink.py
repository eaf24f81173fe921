"""From a failing run to the few elements that make it fail: delta debugging (Zeller's ddmin) over their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MOST_TRIES = 400


def shrink(elements: Sequence[str], fails: Callable[[frozenset[str]], bool]) -> list[str]:
    """A subset that still fails, from which nothing can be taken away (within MOST_TRIES runs), in its order."""
    left, pieces, tries = list(elements), 2, 0
    while left and tries < MOST_TRIES:
        size = max(1, len(left) // pieces)
        for start in range(0, len(left), size):
            without = left[:start] + left[start + size :]
            tries += 1
            if fails(frozenset(without)):
                left, pieces = without, max(pieces - 1, 2)
                break
        else:
            if size == 1:
                return left
            pieces = min(pieces * 2, len(left))
    return left
