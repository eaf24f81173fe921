"""What the API's description says beyond the types: errors, headers and examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, Field

from api.problems import MEDIA_TYPE, TYPE_PREFIX

Item = TypeVar("Item")


class FieldError(BaseModel):
    """What is wrong with one field."""

    field: str
    code: str
    message: str


class ProblemDetails(BaseModel):
    """RFC 9457. `code` is stable and for programs, `detail` for people."""

    type: str = Field(examples=[TYPE_PREFIX + "insufficient_funds"])
    title: str
    status: int
    detail: str
    code: str
    instance: str
    correlation_id: str
    field: str | None = None
    errors: list[FieldError] = []


@dataclass(frozen=True)
class Items(Generic[Item]):
    """A list that has one page."""

    items: tuple[Item, ...]
    next_cursor: None = None


_SAID: Final[dict[int, tuple[str, str, str]]] = {
    400: ("The body is not JSON.", "bad_json", "the body is not JSON"),
    401: ("No good API key.", "unauthorized", "a good API key is needed: Authorization: Bearer tmk_…"),
    403: ("The key may not do this.", "missing_scope", "this needs a key with scope write"),
    404: ("Nothing has this id, or it is somebody else's.", "not_found", "payment p-1 does not exist"),
    409: ("The present state forbids it.", "wrong_payment_status", "payment is not in authorized status"),
    412: ("The version is not the one in If-Match.", "version_mismatch", 'the version is "4", not "3"'),
    413: ("The body is too large.", "body_too_large", "the body may have 65536 bytes"),
    415: ("The body is of another media type.", "unsupported_media_type", "send application/json"),
    422: (
        "Wrong in itself, or an Idempotency-Key or business id used before with another content.",
        "amount_not_positive",
        "amount must be positive",
    ),
    429: ("Too many requests of this key.", "rate_limited", "this key may ask 10 times a second"),
    503: (
        "Postgres, Temporal or a view did not answer in time. What was asked may still happen: ask again.",
        "postgres_unavailable",
        "Postgres does not answer",
    ),
}

_RETRY: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
_READ_HEADERS: Final = {
    "Projection-Position": {"description": "How far the view had come.", "schema": {"type": "string"}},
    "Projection-Lag-Events": {
        "description": "How many events it had yet to take in.",
        "schema": {"type": "string"},
    },
}
_WRITE_HEADERS: Final = {
    "Event-Position": {
        "description": "Reads with min_position set to it show this write. Left out if it is not known in time.",
        "schema": {"type": "string"},
    },
    "ETag": {"description": "The version, for If-Match.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {"description": "true: the first answer again.", "schema": {"type": "string"}},
}


def problem(status: int) -> dict[str, Any]:
    """One error of the description."""
    description, code, detail = _SAID[status]
    example: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "instance": "/v1/payments",
        "correlation_id": "0f8fad5bd9cb469fa165708f",
    }
    if status == 422:
        example |= {"field": "amount", "errors": [{"field": "amount", "code": code, "message": detail}]}
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    said: dict[str, Any] = {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }
    if status in (429, 503):
        said["headers"] = _RETRY
    return said


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: problem(status) for status in statuses}


def reads(example: object, *more: int) -> dict[int | str, dict[str, Any]]:
    """A GET of the views: its answer, and what may go wrong."""
    good = {"headers": _READ_HEADERS, "content": {"application/json": {"example": example}}}
    return {200: good, **problems(401, 403, 422, 429, 503, *more)}


def writes(status: int, example: object, *more: int) -> dict[int | str, dict[str, Any]]:
    """A POST: its answer, and what may go wrong."""
    good = {"headers": _WRITE_HEADERS, "content": {"application/json": {"example": example}}}
    return {status: good, **problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503, *more)}


ACCOUNT: Final[dict[str, Any]] = {
    "account_id": "acc-ann",
    "user_id": "ann",
    "currency": "EUR",
    "status": "open",
    "balance": "100.00",
    "held": "0.00",
    "available": "100.00",
    "overdraft_limit": "0.00",
    "iban": None,
    "rail": None,
    "version": 2,
    "opened_at": "2026-03-01T09:30:00Z",
    "updated_at": "2026-03-01T09:31:00Z",
}
ENTRY: Final[dict[str, Any]] = {
    "position": 12,
    "at": "2026-03-01T09:32:00Z",
    "amount": "-10.00",
    "balance": "90.00",
    "currency": "EUR",
    "kind": "payment",
    "category": "leisure",
    "counterparty": "acc-bob",
    "source": "payment-p-1",
    "reference": "order 4711",
    "description": None,
    "purpose": None,
    "location": "Hamburg",
    "end_to_end_id": None,
    "tags": ["books"],
}
PAYMENT: Final[dict[str, Any]] = {
    "payment_id": "p-1",
    "status": "processed",
    "amount": "10.00",
    "currency": "EUR",
    "captured": "10.00",
    "refunded": "0.00",
    "fee": "0.10",
    "settled": "10.00",
    "settled_currency": "EUR",
    "held": "0.00",
    "from_account": "acc-ann",
    "from_user": "ann",
    "to_account": "acc-bob",
    "to_user": "bob",
    "fee_account": "fees-EUR",
    "capture": "automatic",
    "reference": "order 4711",
    "description": None,
    "category": None,
    "quote": None,
    "tags": ["books"],
    "metadata": {},
    "failure_code": None,
    "failure_reason": None,
    "cancel_reason": None,
    "review": None,
    "dispute": None,
    "expires_at": "2026-03-08T09:32:00Z",
    "authorized_at": "2026-03-01T09:32:00Z",
    "processed_at": "2026-03-01T09:32:00Z",
    "created_at": "2026-03-01T09:32:00Z",
    "updated_at": "2026-03-01T09:32:00Z",
    "version": 4,
}
QUOTE: Final[dict[str, Any]] = {
    "quote_id": "q-1",
    "status": "open",
    "from_currency": "EUR",
    "to_currency": "USD",
    "sells": "100.00",
    "buys": "107.80",
    "rate": "1.077983",
    "expires_at": "2026-03-01T09:33:00Z",
    "used_by": None,
}
TRANSFER: Final[dict[str, Any]] = {
    "transfer_id": "t-1",
    "status": "completed",
    "location": "destination",
    "amount": "25.00",
    "currency": "EUR",
    "from_account": "acc-ann",
    "from_user": "ann",
    "to_account": "acc-bob",
    "to_user": "bob",
    "rail": None,
    "quote": None,
    "reference": "rent",
    "purpose": None,
    "category": "home",
    "tags": ["rent"],
    "metadata": {},
    "failure_code": None,
    "failure_reason": None,
    "legs": [{"name": "initiated", "outcome": "done", "at": "2026-03-01T09:33:00Z", "position": 20}],
    "created_at": "2026-03-01T09:33:00Z",
    "updated_at": "2026-03-01T09:33:01Z",
    "finished_at": "2026-03-01T09:33:01Z",
    "version": 4,
}
BATCH: Final[dict[str, Any]] = {
    "batch_id": "payroll-11",
    "user_id": None,
    "status": "completed",
    "atomic": False,
    "items": 3,
    "settled": 3,
    "submitted": [{"status": "submitted", "count": 3, "amount": "75.00", "currency": "EUR"}],
    "outcomes": [
        {"status": "completed", "count": 2, "amount": "50.00", "currency": "EUR"},
        {"status": "rejected", "count": 1, "amount": "25.00", "currency": "EUR"},
    ],
    "reference": "salaries for November",
    "failure_code": None,
    "failure_reason": None,
    "created_at": "2026-03-01T09:33:00Z",
    "updated_at": "2026-03-01T09:33:01Z",
    "finished_at": "2026-03-01T09:33:01Z",
    "version": 3,
}
BATCH_ITEM: Final[dict[str, Any]] = {
    "item": 1,
    "transfer_id": "payroll-11-1",
    "status": "completed",
    "transfer_status": None,
    "amount": "25.00",
    "currency": "EUR",
    "from_account": "acc-acme",
    "to_account": "acc-ann",
    "reference": None,
    "purpose": "SALA",
    "metadata": {},
    "failure_code": None,
    "failure_reason": None,
    "position": 31,
    "settled_at": "2026-03-01T09:33:01Z",
}
ORDER: Final[dict[str, Any]] = {
    "order_id": "o-1",
    "user_id": "ann",
    "status": "accepted",
    "cash_account": "acc-ann",
    "share_account": "acc-ann-aapl",
    "symbol": "AAPL",
    "currency": "USD",
    "side": "buy",
    "type": "limit",
    "tif": "DAY",
    "price": "187.25",
    "quantity": 100,
    "filled": 0,
    "leaves": 100,
    "cancelled": 0,
    "busted": 0,
    "average_price": None,
    "value": "0.00",
    "failure_code": None,
    "failure_reason": None,
    "expires_at": "2026-03-02T00:00:00Z",
    "created_at": "2026-03-01T09:34:00Z",
    "updated_at": "2026-03-01T09:34:00Z",
    "version": 2,
}
TRADE: Final[dict[str, Any]] = {
    "trade_id": "AAPL-7",
    "symbol": "AAPL",
    "currency": "USD",
    "price": "187.25",
    "quantity": 30,
    "value": "5617.50",
    "taker": "buy",
    "status": "settled",
    "buy_order": "o-1",
    "buyer": "ann",
    "sell_order": None,
    "seller": None,
    "failure_code": None,
    "failure_reason": None,
    "matched_at": "2026-03-01T09:35:00Z",
    "finished_at": "2026-03-01T09:35:00Z",
}
INSTRUMENT: Final[dict[str, Any]] = {
    "symbol": "AAPL",
    "name": "Apple",
    "currency": "USD",
    "tick": "0.01",
    "lot": 1,
    "status": "open",
}
BOOK: Final[dict[str, Any]] = INSTRUMENT | {
    "bids": [{"price": "187.25", "quantity": 70, "orders": 1}],
    "asks": [{"price": "187.40", "quantity": 50, "orders": 2}],
    "last_price": "187.25",
    "last_quantity": 30,
    "last_trade_at": "2026-03-01T09:35:00Z",
    "trades": 7,
    "day": {
        "trades": 7,
        "volume": 210,
        "turnover": "39322.50",
        "open": "187.00",
        "high": "187.50",
        "low": "186.90",
        "change": "0.25",
    },
    "version": 31,
}
