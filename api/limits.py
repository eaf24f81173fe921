"""How much one key may ask for: so many requests per second, and so many at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from api.problems import Problem

_REMEMBERED = 10_000


@dataclass(slots=True)
class _Use:
    tokens: float
    at: float
    under_way: int = 0


class Limits:
    """Token buckets and counters by key id. 0 means no limit."""

    def __init__(self, rate_per_s: float, burst: int, concurrent: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._concurrent = concurrent
        self._uses: OrderedDict[str, _Use] = OrderedDict()

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
