"""The OpenAPI description: what FastAPI finds, with our errors in place of its own, and the key that is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.batch_body import NewBatchDocument
from api.documented import ProblemDetails
from api.problems import MEDIA_TYPE

_ABOUT: Final = """Event-sourced payments: accounts, payments, transfers.

* Amounts are decimal strings with exactly the currency's decimals; times are RFC 3339 in UTC.
* Errors are RFC 9457 problems with a stable `code`.
* `Idempotency-Key` on a POST: a repeat gets the first answer and `Idempotency-Replayed: true`.
* A write answers with `Event-Position`; a read with `min_position` set to it shows the write.
"""
_TAGS: Final = (
    ("accounts", "Accounts and their statements."),
    ("payments", "Authorise, capture, cancel, refund, dispute."),
    ("transfers", "Transfers between accounts, as sagas with compensation."),
    ("standing orders", "Transfers by a timetable, or once at a later time."),
    ("fraud", "Fraud cases, risk profiles, rule hit rates and limits of accounts: for operators."),
    ("trading", "Orders, books, trades and the shares that are listed."),
    ("transfer batches", "Many transfers as one, each with its own outcome, or all or none."),
    ("users", "A user's payments and portfolio."),
    ("quotes", "Rates promised for one exchange."),
    ("analytics", "Totals."),
    ("operations", "For operators."),
    ("health", "For whoever runs it."),
)


def describe(app: FastAPI, routes: Sequence[APIRoute]) -> dict[str, Any]:
    """Made once per application, of its routes."""
    if app.openapi_schema is None:
        app.openapi_schema = _make(app, routes)
    return app.openapi_schema


def _make(app: FastAPI, routes: Sequence[APIRoute]) -> dict[str, Any]:
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary="Payments that are never lost, doubled or invented.",
        description=_ABOUT,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS],
    )
    components = found["components"]
    schemas = components["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for model in (ProblemDetails, NewBatchDocument):
        told = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(told.pop("$defs"))
        schemas[model.__name__] = told
    components["securitySchemes"] = {
        "ApiKey": {"type": "http", "scheme": "bearer", "description": "A key: tmk_<id>_<secret>."}
    }
    shared: dict[str, Any] = {}
    components["responses"] = shared
    for route in routes:
        for method in route.methods or ():
            operation = found["paths"][route.path][method.lower()]
            if route.path.startswith("/v1/"):
                operation["security"] = [{"ApiKey": []}]
            _tell_once(operation["responses"], shared)
            _give_examples(operation["responses"], route)
    return found


def _tell_once(responses: dict[str, Any], shared: dict[str, Any]) -> None:
    """Problems are the same everywhere: each is told in one place."""
    for status, response in responses.items():
        if MEDIA_TYPE in response.get("content", {}):
            name = f"Problem{status}"
            assert shared.setdefault(name, response) == response
            responses[status] = {"$ref": f"#/components/responses/{name}"}


def _give_examples(responses: dict[str, Any], route: APIRoute) -> None:
    """As they were written: FastAPI takes every null out of them."""
    for status, given in route.responses.items():
        for media_type, content in given.get("content", {}).items():
            if media_type != MEDIA_TYPE and "example" in content:
                responses[str(status)]["content"][media_type]["example"] = content["example"]
