"""Makes some of the generated requests meaningful: existing accounts, a currency's own decimals.

What is wrong by the schema is left as it is, and every third request too, so that nonsense is tried as well.
"""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import schemathesis

ACCOUNTS = ("st-a", "st-b")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_AMOUNT = re.compile(r"\d{1,16}(\.\d{1,4})?")
_calls = count()


def _sane(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match name:
        case "currency" if re.fullmatch("[A-Z]{3}", value):
            return "EUR"
        case "amount" if _AMOUNT.fullmatch(value):
            return f"{len(value) % 9 + 1}.00"
        case "from_account" | "account_id" if _ID.fullmatch(value):
            return ACCOUNTS[0]
        case "to_account" if _ID.fullmatch(value):
            return ACCOUNTS[1]
        case _:
            return value


@schemathesis.hook
def map_body(_context: schemathesis.HookContext, body: Any) -> Any:
    """Bodies of payments, transfers, deposits; a new account keeps its id, which makes it new."""
    if not isinstance(body, dict) or next(_calls) % 3 == 0:
        return body
    opens = "user_id" in body
    return {name: value if opens and name == "account_id" else _sane(name, value) for name, value in body.items()}


@schemathesis.hook
def map_path_parameters(_context: schemathesis.HookContext, path_parameters: Any) -> Any:
    """An account that is there, half of the time."""
    if not isinstance(path_parameters, dict) or next(_calls) % 2 == 0:
        return path_parameters
    return {name: _sane(name, value) if name == "account_id" else value for name, value in path_parameters.items()}


@schemathesis.hook
def map_headers(_context: schemathesis.HookContext, headers: Any) -> Any:
    """No wait for a position far ahead, see schemathesis.toml."""
    name = "Wait-For-Position"
    if isinstance(headers, dict) and str(headers.get(name, "")).isdecimal():
        return {**headers, name: type(headers[name])(0)}
    return headers


@schemathesis.serializer("application/x-ndjson", "application/xml", "text/csv")
def as_lines(_context: object, value: Any) -> bytes:
    """Text goes out as it is, lines or not."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
