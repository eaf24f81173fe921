"""`python -m tests.simulation`: many seeds, or one with its trace. Exit code 1 where a promise was broken.

--seeds 5000 [--first 1]     run so many; stop at the first that fails, shrink it, say how to replay it
--seconds 60                 run for so long instead
--seed 7                     run one and print what happened
--keep 'a;b'                 with --seed: only these elements of it, as shrinking prints them
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import traceback

from tests.simulation.shrink import shrink
from tests.simulation.story import Told, run


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


def many(first: int, seeds: int, seconds: float | None) -> int:
    began, done = time.monotonic(), 0
    for seed in itertools.count(first):
        if done >= seeds if seconds is None else time.monotonic() - began >= seconds:
            break
        told = run(seed)
        done += 1
        if told.error is not None:
            print(f"seed {seed} fails: {type(told.error).__name__}: {told.error}")
            left, least = shrunk(told)
            print("\n".join(least.trace))
            print(f"{len(left)} of {len(told.elements)} elements are needed; again:")
            print(f"python -m tests.simulation --seed {seed} --keep '{';'.join(left)}'")
            return 1
    took_s = time.monotonic() - began
    print(f"{done} seeds from {first}, every promise kept: {took_s:.1f} s, {done / took_s * 60:.0f} seeds/minute")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep")
    given = parser.parse_args()
    if given.seed is not None:
        kept = None if given.keep is None else frozenset(filter(None, given.keep.split(";")))
        return one(given.seed, kept)
    return many(given.first, given.seeds, given.seconds)


if __name__ == "__main__":
    sys.exit(main())
