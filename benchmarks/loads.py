"""The work that benchmarks of transfers share: who pays whom, the same at every run."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate

ACCOUNTS = 1000
OPENING = 100_000_000
"""What each account starts with, in minor units: enough for everything, no overdraft."""


@dataclass(frozen=True, slots=True)
class Load:
    """`transfers`: (from, to, minor units)."""

    name: str
    accounts: tuple[str, ...]
    transfers: tuple[tuple[str, str, int], ...]
    opening: int = OPENING


def zipf(count: int, exponent: float = 1.0) -> Load:
    """Both sides drawn from 1,000 accounts, the k-th with weight 1/k^exponent."""
    chance = random.Random(1)  # noqa: S311 – a load, not a secret
    accounts = tuple(f"acc-{number:04d}" for number in range(ACCOUNTS))
    weights = list(accumulate(1 / rank**exponent for rank in range(1, ACCOUNTS + 1)))
    transfers: list[tuple[str, str, int]] = []
    while len(transfers) < count:
        source, target = chance.choices(accounts, cum_weights=weights, k=2)
        if source != target:
            transfers.append((source, target, chance.randint(1, 500)))
    return Load("zipf", accounts, tuple(transfers))


def hot_source(count: int) -> Load:
    """One account pays all the others in turn."""
    chance = random.Random(2)  # noqa: S311 – a load, not a secret
    accounts = tuple(f"acc-{number:04d}" for number in range(ACCOUNTS))
    transfers = tuple(
        (accounts[0], accounts[1 + n % (ACCOUNTS - 1)], chance.randint(1, 500)) for n in range(count)
    )
    return Load("hot source", accounts, transfers)
