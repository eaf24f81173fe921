"""How every route reads its body, and how it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from api.problems import broken, problem_of

log = structlog.get_logger()


class _StrictRequest(Request):
    """JSON as the standard has it: no NaN, no broken Unicode."""

    async def json(self) -> Any:
        return orjson.loads(await self.body())


class StrictRoute(APIRoute):
    """A route that reads its body strictly, and whose every error is a problem."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            try:
                return await handler(_StrictRequest(request.scope, request.receive))
            except Exception as error:
                problem = problem_of(error)
                if problem is None:
                    log.exception("request failed")
                    problem = broken()
                return problem.response(request.url.path, request.state.correlation_id)

        return strict
