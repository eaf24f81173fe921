"""The OpenAPI description: what FastAPI finds, with our errors in place of its own, and the key that is needed."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.documented import ProblemDetails

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
    ("users", "A user's payments."),
    ("analytics", "Totals."),
    ("operations", "For operators."),
    ("health", "For whoever runs it."),
)


def describe(app: FastAPI) -> dict[str, Any]:
    """Made once per application."""
    if app.openapi_schema is None:
        app.openapi_schema = _make(app)
    return app.openapi_schema


def _make(app: FastAPI) -> dict[str, Any]:
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
    problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["ProblemDetails"] = problem
    components["securitySchemes"] = {
        "ApiKey": {"type": "http", "scheme": "bearer", "description": "A key: tmk_<id>_<secret>."}
    }
    for path, operations in found["paths"].items():
        for operation in operations.values():
            if path.startswith("/v1/"):
                operation["security"] = [{"ApiKey": []}]
    return found
