"""How much may be asked for: of one key so many requests per second and at once, of all so many at once.

Over a key's limit is 429, over what this process takes on is 503. Either is said before anything is done.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from api.problems import Problem, overloaded

_REMEMBERED = 10_000
BATCHES_AT_ONCE = 4
"""Batches and statements being taken in. Each may be some 100 MB while it is read, and holds a connection of the
pool."""


@dataclass(slots=True)
class _Use:
    tokens: float
    at: float
    under_way: int = 0


class Limits:
    """Token buckets and counters by key id, where 0 means no limit. `concurrent`: of all keys."""

    def __init__(self, rate_per_s: float, burst: int, concurrent_per_key: int, concurrent: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._concurrent = concurrent_per_key
        self._places = concurrent
        self._batch_places = BATCHES_AT_ONCE
        self._uses: OrderedDict[str, _Use] = OrderedDict()

    @contextmanager
    def room(self, batch: bool) -> Iterator[None]:
        """A place for one request of anybody, for its duration. Raises Problem 503; nobody waits for a place."""
        if not self._places or (batch and not self._batch_places):
            raise overloaded(f"too many {'requests' if not self._places else 'batches'} are under way here")
        self._places -= 1
        self._batch_places -= batch
        try:
            yield
        finally:
            self._places += 1
            self._batch_places += batch

    @contextmanager
    def one(self, key_id: str) -> Iterator[None]:
        """One request of a key, for its duration. Raises Problem 429."""
        use = self._use(key_id)
        if self._concurrent and use.under_way >= self._concurrent:
            raise _too_many("too_many_at_once", f"{self._concurrent} requests of this key are under way", 1)
        if self._rate_per_s:
            self._take(use)
        use.under_way += 1
        try:
            yield
        finally:
            use.under_way -= 1

    def _take(self, use: _Use) -> None:
        now = time.monotonic()
        use.tokens = min(float(self._burst), use.tokens + (now - use.at) * self._rate_per_s)
        use.at = now
        if use.tokens < 1:
            wait_s = (1 - use.tokens) / self._rate_per_s
            raise _too_many("rate_limited", f"this key may ask {self._rate_per_s:g} times a second", wait_s)
        use.tokens -= 1

    def _use(self, key_id: str) -> _Use:
        use = self._uses.get(key_id)
        if use is None:
            use = self._uses[key_id] = _Use(float(self._burst), time.monotonic())
            if len(self._uses) > _REMEMBERED:
                oldest = next(iter(self._uses))
                if not self._uses[oldest].under_way:
                    del self._uses[oldest]
        self._uses.move_to_end(key_id)
        return use


def _too_many(code: str, detail: str, wait_s: float) -> Problem:
    return Problem(429, code, detail, headers={"Retry-After": str(max(1, ceil(wait_s)))})
