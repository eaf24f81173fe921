"""W3C Trace Context: the caller's trace goes on through the request into the events it causes, and back."""

from __future__ import annotations

import re
import secrets
from typing import Final

_PARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


def continued(parent: str | None) -> str:
    """A traceparent for this request: of the caller's trace where `parent` is a good one, else of a new trace."""
    match = _PARENT.fullmatch(parent or "")
    span_id = secrets.token_hex(8)
    if match is not None:
        version, trace_id, parent_id, flags, rest = match.groups()
        known = version != "ff" and not (version == "00" and rest)
        if known and set(trace_id) != {"0"} and set(parent_id) != {"0"}:
            return f"00-{trace_id}-{span_id}-{flags}"
    return f"00-{secrets.token_hex(16)}-{span_id}-01"


def trace_id_of(traceparent: str) -> str:
    return traceparent.split("-")[1]
