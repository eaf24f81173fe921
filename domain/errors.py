"""Every way the domain says no.

DomainError                 a refusal with a stable `code`, a sentence and, where it helps, the field
├── InvalidInput            the command itself is wrong, whatever the state (HTTP 422, exit code 1)
│   └── InvalidMoney        an amount or currency that cannot be read
├── NotFound                the id names nothing (404)
└── Conflict                right in itself, but not in the present state (409)
    ├── WrongState          "payment is not in authorized status"
    └── InsufficientFunds   available would go below zero
"""

from __future__ import annotations


class DomainError(Exception):
    """A command was refused. `code` is stable and meant for programs, the message for people."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field

    def __reduce__(self) -> tuple[type[DomainError], tuple[str, str, str | None]]:
        return (type(self), (self.code, self.message, self.field))


class InvalidInput(DomainError):
    """The command can never be accepted as it stands."""


class InvalidMoney(InvalidInput, ValueError):
    """An amount or a currency that cannot be read; a ValueError so that pydantic reports it with its field."""


class NotFound(DomainError):
    """Nothing has this id."""


class Conflict(DomainError):
    """The present state forbids it; the same command may pass later."""


class WrongState(Conflict):
    """The aggregate is not in a status from which the command is possible."""


class InsufficientFunds(Conflict):
    """`available = balance − held + overdraft_limit` would go below zero."""
