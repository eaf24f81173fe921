"""`python -m tests.simulation`: many seeds, or one with its trace. Exit code 1 where a promise was broken.

--seeds 5000 [--first 1]     run so many on all cores; the first that fails is shrunk, and it says how to replay it
--seed 7                     run one and print what happened
--keep 'a;b'                 with --seed: only these elements of it, as shrinking prints them
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import traceback
from multiprocessing import get_context

from tests.simulation.opening import opened
from tests.simulation.shrink import shrink
from tests.simulation.story import Told, first_failing, run

PIECE = 50
"""So many seeds does a process run before it ends, and its garbage with it (about 1 MiB a seed)."""


def same_failure(told: Told, first: Told) -> bool:
    """So that shrinking does not wander off to another fault."""
    return told.error is not None and type(told.error) is type(first.error)


def shrunk(first: Told) -> tuple[list[str], Told]:
    """The least of a failing run, and how it goes."""
    left = shrink(first.elements, lambda kept: same_failure(run(first.seed, kept), first))
    return left, run(first.seed, frozenset(left))


def one(seed: int, kept: frozenset[str] | None) -> int:
    told = run(seed, kept)
    print("\n".join(told.trace))
    if told.error is None:
        print(f"seed {seed}: every promise was kept")
        return 0
    traceback.print_exception(told.error)
    return 1


def many(first: int, seeds: int) -> int:
    began, last = time.monotonic(), first + seeds
    pieces = [range(start, min(start + PIECE, last)) for start in range(first, last, PIECE)]
    opened()  # once for all processes: they are forks of this one
    with get_context("fork").Pool(initializer=gc.disable, maxtasksperchild=1) as pool:
        for piece, failing in zip(pieces, pool.imap(first_failing, pieces), strict=True):
            if failing is not None:
                pool.terminate()
                return explained(run(failing))
            if sys.stderr.isatty():
                print(f"\r{piece.stop - first} of {seeds} seeds", end="", file=sys.stderr)
    took_s = time.monotonic() - began
    print(
        f"{seeds} seeds from {first}, every promise kept: {took_s:.1f} s, {seeds / took_s * 60:.0f} seeds/minute"
    )
    return 0


def explained(told: Told) -> int:
    """A failing run, the least of it, and how to see that again."""
    print(f"seed {told.seed} fails: {type(told.error).__name__}: {told.error}")
    left, least = shrunk(told)
    print("\n".join(least.trace))
    print(f"{len(left)} of {len(told.elements)} elements are needed; again:")
    print(f"python -m tests.simulation --seed {told.seed} --keep '{';'.join(left)}'")
    return 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep")
    given = parser.parse_args()
    if given.seed is not None:
        kept = None if given.keep is None else frozenset(filter(None, given.keep.split(";")))
        return one(given.seed, kept)
    return many(given.first, given.seeds)


if __name__ == "__main__":
    sys.exit(main())
