"""The application: every route, and every error as a problem."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from api.description import describe
from api.edge import Edge
from api.problems import problem_of
from api.routes import (
    accounts,
    analytics,
    fraud,
    health,
    markets,
    operations,
    orders,
    payments,
    quotes,
    reconciliations,
    standing_orders,
    statements,
    transfer_batches,
    transfers,
    users,
)
from api.services import Services

ROUTERS: Final = (
    accounts,
    statements,
    reconciliations,
    payments,
    transfers,
    transfer_batches,
    standing_orders,
    orders,
    markets,
    quotes,
    users,
    analytics,
    fraud,
    operations,
    health,
)

log = structlog.get_logger()


def make_app() -> FastAPI:
    """All routes, without the services behind them: enough to describe the API."""
    app = FastAPI(
        title="Tidemark",
        version="1.0.0",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for module in ROUTERS:
        app.include_router(module.router)
    app.add_exception_handler(HTTPException, _no_route)
    app.openapi = lambda: describe(app, api_routes())  # type: ignore[method-assign]
    return app


def api_routes() -> list[APIRoute]:
    """Every route, in order."""
    return [route for module in ROUTERS for route in module.router.routes if isinstance(route, APIRoute)]


def serve(services: Services) -> Edge:
    """The application over `services`, inside its wall."""
    app = make_app()
    app.state.services = services
    app.state.health = health.Health()
    return Edge(app, services)


async def _no_route(request: Request, error: Exception) -> Response:
    """404 and 405 of paths and methods that no route has."""
    problem = problem_of(error)
    assert problem is not None
    if problem.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        matching = (route for route in api_routes() if route.matches(request.scope)[0] is not Match.NONE)
        allowed = {method for route in matching for method in route.methods or ()}
        problem.headers = {"Allow": ", ".join(sorted(allowed))}
    return problem.response(request.url.path, request.state.correlation_id)
