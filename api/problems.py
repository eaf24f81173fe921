"""Every refusal and fault as an RFC 9457 problem: a stable `code`, the field where there is one, no stack trace.

422  the request can never be accepted as it stands, or its Idempotency-Key or business id was used for another
404  nothing has this id, or it is somebody else's
409  the present state forbids it
503  Postgres or Temporal did not answer in time: what was asked may still happen; ask again, with the same key
     `overloaded`: this process has as much to do as it takes on
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import psycopg
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from temporalio.service import RPCError, RPCStatusCode

from activities.rates import RatesUnavailable
from commands.running import NoAnswer, still_starting
from domain.errors import Conflict, DomainError, InvalidInput, NotFound
from eventstore.errors import (
    ConcurrencyError,
    IdempotencyConflictError,
    Overloaded,
    StoreUnavailable,
    VersionMismatch,
)
from projections.errors import NoSuchDeadLetter
from queries import errors as asked
from wiring import Unreachable

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:tidemark:problem:"
RETRY_AFTER_S = 1

_BY_STATUS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}
_AWAY = (
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.UNKNOWN,  # the connection broke: "transport error", "connection closed" and the like
    RPCStatusCode.INTERNAL,  # it broke in the middle of a frame, or the server has a fault of its own
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.ABORTED,
)
_BUSY = (RPCStatusCode.RESOURCE_EXHAUSTED,)


class Problem(HTTPException):
    """An answer that is a problem. `errors` are `{field, code, message}`; `more` are further members."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.code = code
        self.field = field
        self.errors = list(errors)
        self.more = dict(more or {})

    def response(self, instance: str, correlation_id: str) -> Response:
        """As it goes out."""
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status_code,
            "detail": self.detail,
            "code": self.code,
            "instance": instance,
            "correlation_id": correlation_id,
            **self.more,
        }
        if self.field is not None:
            body["field"] = self.field
        if self.errors:
            body["errors"] = self.errors
        return Response(orjson.dumps(body), self.status_code, self.headers, media_type=MEDIA_TYPE)


def unavailable(code: str, detail: str) -> Problem:
    """Something is away, or too slow: try again."""
    return Problem(503, code, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def overloaded(detail: str) -> Problem:
    """More than this process takes on: nothing was done. Not everybody is asked back at the same second."""
    return Problem(503, "overloaded", detail, headers={"Retry-After": str(random.randint(1, 3))})  # noqa: S311


def broken() -> Problem:
    """A bug of ours. What it was is in the log, under the correlation id."""
    return Problem(500, "internal_error", "something went wrong here; it has been logged")


def problem_of(error: Exception) -> Problem | None:
    """What a caller is told of `error`; None for what is a bug."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return _invalid(error.errors())
        case ValidationError():
            # Of a model that is made from a request's parts: its fields are the request's.
            return _invalid([{**one, "loc": ("body", *one["loc"])} for one in error.errors()])
        case HTTPException():
            return _http(error)
        case DomainError():
            return _refusal(error)
        case IdempotencyConflictError():
            return Problem(422, error.code, "this id was used before, with another content")
        case VersionMismatch():
            return Problem(412, error.code, str(error))
        case asked.QueryError():
            return _unanswered(error)
        case NoSuchDeadLetter():
            return Problem(404, "not_found", str(error))
        case ConcurrencyError():
            return unavailable(error.code, "too many others change the same accounts; nothing was done")
        case RatesUnavailable():
            return unavailable("rates_unavailable", str(error))
        case NoAnswer():
            return unavailable("outcome_unknown", str(error))
        case _:
            return _away(error)


def _refusal(error: DomainError) -> Problem:
    status = 409
    if isinstance(error, NotFound):
        status = 404
    elif isinstance(error, InvalidInput) or error.code == "idempotency_conflict":
        status = 422
    elif error.code == "version_mismatch":
        status = 412
    elif isinstance(error, Conflict) and error.code == "workflow_missing":
        status = 503
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    errors = [{"field": error.field, "code": error.code, "message": error.message}] if error.field else []
    return Problem(status, error.code, error.message, field=error.field, errors=errors, headers=headers)


def _unanswered(error: asked.QueryError) -> Problem:
    match error:
        case asked.NotFound():
            return Problem(404, error.code, str(error))
        case asked.BadCursor():
            return Problem(422, error.code, str(error), field="cursor")
        case asked.TooLong():
            return Problem(422, error.code, str(error), field="from")
        case asked.NotCaughtUp() | asked.DoesNotAddUp():
            return unavailable(error.code, str(error))
        case _:
            return unavailable(error.code, "the read views do not answer")


def _away(error: Exception) -> Problem | None:
    match error:
        case Overloaded():
            return overloaded("too many requests wait for Postgres")
        case StoreUnavailable() | PoolTimeout() | psycopg.OperationalError() | psycopg.InterfaceError():
            return unavailable("postgres_unavailable", "Postgres does not answer")
        case RPCError() if error.status in _AWAY or still_starting(error):
            return unavailable("temporal_unavailable", "Temporal does not answer")
        case RPCError() if error.status in _BUSY:
            return unavailable("temporal_busy", "Temporal has too much to do")
        case Unreachable() | ConnectionError() | TimeoutError():
            return unavailable("unavailable", "a part that is needed does not answer")
        case RuntimeError() if "connect" in str(error).lower():
            return unavailable("temporal_unavailable", "Temporal does not answer")  # a lazy client's first call
        case _:
            return None


def _http(error: HTTPException) -> Problem:
    code = _BY_STATUS.get(error.status_code, f"http_{error.status_code}")
    details = {404: "there is nothing here", 405: "this method is not allowed here"}
    detail = details.get(error.status_code) or str(error.detail or HTTPStatus(error.status_code).phrase)
    return Problem(error.status_code, code, detail, headers=dict(error.headers or {}))


def _invalid(found: Sequence[Any]) -> Problem:
    """Malformed JSON is 400; an id in the path that cannot be one names nothing, 404; all else 422."""
    if any(one["type"] == "json_invalid" for one in found):
        return Problem(400, "bad_json", "the body is not JSON")
    if any(one["loc"][:1] == ("path",) for one in found):
        return Problem(404, "not_found", "nothing can have this id")
    errors = list({one["field"]: one for one in map(field_error, reversed(found))}.values())[::-1]
    first = errors[0]
    return Problem(422, first["code"], first["message"], field=first["field"] or None, errors=errors)


def field_error(one: Mapping[str, Any]) -> dict[str, str]:
    """One of pydantic's errors, whose `loc` begins with where it was: the body, the query."""
    loc = one["loc"]
    cause = (one.get("ctx") or {}).get("error")
    if isinstance(cause, DomainError):
        field = cause.field or ""
        prefix = [str(part) for part in loc[1:]]
        return {"field": field or ".".join(prefix), "code": cause.code, "message": cause.message}
    inside = loc[1:] if loc[0] == "body" else loc[1:2]  # what follows a parameter's name are kinds it might be of
    field = ".".join(str(part) for part in inside) or str(loc[0])
    match one["type"]:
        case "missing":
            return {"field": field, "code": "missing_field", "message": f"{field} is required"}
        case "extra_forbidden":
            return {"field": field, "code": "unknown_field", "message": f"{field} is not known here"}
        case "model_attributes_type" | "dict_type" if field == "body":
            return {"field": field, "code": "invalid_field", "message": "the body must be a JSON object"}
    message = str(one["msg"]).removeprefix("Value error, ")
    return {"field": field, "code": "invalid_field", "message": f"{field}: {message}"}
