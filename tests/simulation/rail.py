"""Another bank behind HTTP, as the real RailActivities see it: answers, refuses, hangs, hears things late."""

from __future__ import annotations

import asyncio

import httpx

from tests.simulation.chance import Chance
from tests.simulation.loop import SimLoop

UNHEARD, UNANSWERED, LATE, BUSY, REFUSES = 0.10, 0.20, 0.30, 0.36, 0.50
"""Where each kind of mishap ends, of a fraction from 0 to 1."""


class Rail(httpx.AsyncBaseTransport):
    """`credited` counts the money that went out, by the leg's key; `refused` are the keys it said no to."""

    def __init__(self, loop: SimLoop, chance: Chance) -> None:
        self._loop = loop
        self._chance = chance
        self.credited: dict[str, int] = {}
        self.refused: set[str] = set()
        self.calm = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        key = request.url.path.rpartition("/")[2]
        await asyncio.sleep(self._chance.between("rail", 0.001, 0.05))
        if request.method == "GET":
            return self._answer(key, request) if self._known(key) else httpx.Response(404, request=request)
        fraction = 1.0 if self.calm else self._chance.fraction(f"rail@{key}")
        hit = fraction < BUSY and self._chance.happens(f"rail@{key} {fraction:.3f}")
        if hit and fraction < UNHEARD:
            raise httpx.ConnectTimeout("simulated: never arrived", request=request)
        if hit and fraction < UNANSWERED:
            self._take(key)
            raise httpx.ReadTimeout("simulated: arrived, not answered", request=request)
        if hit and fraction < LATE:
            self._loop.call_later(self._chance.between("rail late", 0.5, 20.0), self._take, key)
            raise httpx.ReadTimeout("simulated: arrives later", request=request)
        if hit:
            return httpx.Response(503, request=request)
        self._take(key)
        return self._answer(key, request)

    def _known(self, key: str) -> bool:
        return key in self.credited or key in self.refused

    def _take(self, key: str) -> None:
        """Once per key, whatever comes again. Whether it pays depends on the key alone."""
        if self._known(key):
            return
        if self._chance.fraction(f"rail refuses {key}") < REFUSES - BUSY:
            self.refused.add(key)
        else:
            self.credited[key] = 1

    def _answer(self, key: str, request: httpx.Request) -> httpx.Response:
        if key in self.credited:
            return httpx.Response(200, json={"reference": f"bank/{key}"}, request=request)
        return httpx.Response(422, json={"code": "creditor_unknown", "reason": "no such account"}, request=request)
