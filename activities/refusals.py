"""A refusal by the domain is an answer, not a fault: Temporal must not retry it. Everything else it retries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from domain.errors import DomainError
from eventstore.errors import IdempotencyConflictError, VersionMismatch


@contextmanager
def refusals() -> Iterator[None]:
    """Turns a refusal into a non-retryable ApplicationError whose `type` is the refusal's code."""
    try:
        yield
    except DomainError as refusal:
        details = {"code": refusal.code, "field": refusal.field, "kind": type(refusal).__name__}
        raise ApplicationError(refusal.message, details, type=refusal.code, non_retryable=True) from refusal
    except (IdempotencyConflictError, VersionMismatch) as conflict:
        details = {"code": conflict.code, "field": None, "kind": "Conflict"}
        raise ApplicationError(str(conflict), details, type=conflict.code, non_retryable=True) from conflict
