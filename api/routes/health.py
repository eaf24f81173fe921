"""/livez, /readyz, /metrics: for whoever runs the API. No key is needed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import PlainTextResponse, Response

from activities.breaker import State
from api.call import answer
from api.own_worker import temporal_answers
from api.services import Services
from api.strict import StrictRoute
from queries.errors import QueryError
from queries.operations import lag

router = APIRouter(tags=["health"], route_class=StrictRoute)

LOOK_S: Final = 2.0
KEPT_S: Final = 0.5
"""Nobody can make the servers busy by asking how they are."""


@dataclass(frozen=True)
class Lag:
    events: int
    ms: float
    dead_letters: int


@dataclass(frozen=True)
class Readiness:
    """`ready` with both servers there. Lag does not make the API unready: it is told, and reads can wait. Nor do
    other banks: `rails` says whether this process asks them (`closed`), leaves them alone (`open`), or tries one
    (`half_open`).
    """

    status: str
    postgres: bool
    temporal: bool
    lag: Lag | None
    rails: dict[str, State]


class Health:
    """The last look at the servers, kept for a moment."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._until = 0.0
        self._last = Readiness("unready", postgres=False, temporal=False, lag=None, rails={})

    async def look(self, services: Services) -> Readiness:
        async with self._lock:
            if time.monotonic() >= self._until:
                lag_now, temporal = await asyncio.gather(
                    self._lag(services), temporal_answers(services.temporal, LOOK_S)
                )
                status = "ready" if lag_now is not None and temporal else "unready"
                rails = {name: breaker.state for name, breaker in services.rails.items()}
                self._last = Readiness(status, lag_now is not None, temporal, lag_now, rails)
                self._until = time.monotonic() + KEPT_S
        return self._last

    @staticmethod
    async def _lag(services: Services) -> Lag | None:
        asking = asyncio.create_task(services.reader.ask(lag()), name="readiness")
        # A Postgres that hangs does not even end what is cancelled: whoever asks is not kept waiting for that.
        await asyncio.wait({asking}, timeout=LOOK_S)
        if not asking.done():
            asking.cancel()
            asking.add_done_callback(lambda left: left.cancelled() or left.exception())
            return None
        try:
            views = asking.result().value
        except QueryError:
            return None
        live = [view for view in views if view.status == "live"]
        return Lag(
            max((view.lag_events for view in live), default=0),
            max((view.lag_ms for view in live), default=0.0),
            sum(view.dead_letters for view in live),
        )


READY: dict[str, Any] = {
    "status": "ready",
    "postgres": True,
    "temporal": True,
    "lag": {"events": 0, "ms": 0.0, "dead_letters": 0},
    "rails": {"sepa": "closed"},
}


@router.get(
    "/livez", response_class=PlainTextResponse, responses={200: {"content": {"text/plain": {"example": "ok"}}}}
)
async def livez() -> Response:
    """The process is there."""
    return PlainTextResponse("ok")


@router.get(
    "/readyz",
    response_model=Readiness,
    responses={
        200: {"content": {"application/json": {"example": READY}}},
        503: {"model": Readiness, "description": "Postgres or Temporal is away."},
    },
)
async def readyz(request: Request) -> Response:
    """Whether Postgres and Temporal are there, and how far the views are behind."""
    found = await request.app.state.health.look(request.app.state.services)
    headers = {} if found.status == "ready" else {"Retry-After": "1"}
    return answer(found, 200 if found.status == "ready" else 503, headers)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    registry = request.app.state.services.metrics.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
