"""A circuit breaker: what does not answer is left alone for a while, so that nothing piles up in front of it.

    closed ──five failures in a row──► open ──10 s──► half open: one call tries ──► closed, or open again

What it refuses was not asked, which is certain: the caller may ask later, and has nothing to undo. It also refuses
what would be too much at once: a dependency that is slow must not take every place that others need, too.
Why no library: docs/adr/0046-a-breaker-of-our-own.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

State = Literal["closed", "open", "half_open"]

MAX_FAILURES: Final = 5
"""In a row, until it opens."""
OPEN_S: Final = 10.0
MAX_UNDER_WAY: Final = 32


class NotAsked(Exception):
    """Refused without a call; the message says why."""


class Call:
    """One call that is let through. `answered` is for the caller to set: a refusal is an answer, too."""

    answered = False


class Breaker:
    """Of one dependency, in one process, on its event loop. `tell` hears of each change between closed and not."""

    def __init__(self, tell: Callable[[bool], None] = lambda _closed: None) -> None:
        self._tell = tell
        self._failures = 0
        self._open_until: float | None = None
        self._trying = False
        self._under_way = 0
        tell(True)

    @property
    def state(self) -> State:
        if self._open_until is None:
            return "closed"
        return "half_open" if self._trying or _now() >= self._open_until else "open"

    @contextmanager
    def call(self) -> Iterator[Call]:
        """Let one call through and learn from how it ends. Raises NotAsked."""
        trial = self._admit()
        self._under_way += 1
        call = Call()
        try:
            yield call
        finally:
            self._under_way -= 1
            if trial:
                self._trying = False
            if call.answered:
                self._close()
            else:
                self._failed(trial)

    def _admit(self) -> bool:
        """Whether this call is the one that tries."""
        if self._open_until is not None:
            if self._trying or _now() < self._open_until:
                raise NotAsked("it did not answer lately")
            self._trying = True
            return True
        if self._under_way >= MAX_UNDER_WAY:
            raise NotAsked(f"{self._under_way} calls are under way")
        return False

    def _failed(self, trial: bool) -> None:
        self._failures += 1
        if trial or (self._open_until is None and self._failures >= MAX_FAILURES):
            opens = self._open_until is None
            self._open_until = _now() + OPEN_S
            if opens:
                self._tell(False)

    def _close(self) -> None:
        """Also by a late answer to a call from before it opened: whoever answers is there."""
        self._failures = 0
        if self._open_until is not None:
            self._open_until = None
            self._tell(True)


def _now() -> float:
    return asyncio.get_running_loop().time()
