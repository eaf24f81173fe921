"""What the clients asked for and what they were told: the checker's evidence. Written down before it is sent."""

from __future__ import annotations

import base64
import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["unknown", "acknowledged", "refused"]


@dataclass
class Operation:
    """One wish of a client. `id` is its Idempotency-Key, and its business id where it has one.

    `about` is the account, payment or transfer that it is about; `amount` in minor units, None: all that is left.
    """

    id: str
    kind: str
    about: str
    path: str
    body: dict[str, Any]
    amount: int | None = None
    outcome: Outcome = "unknown"
    status: int = 0
    code: str = ""
    answer: dict[str, Any] = field(default_factory=dict)
    position: int | None = None
    attempts: int = 0
    sent_at: float = field(default_factory=time.monotonic)
    settled_at: float = 0.0

    def settle(self, outcome: Outcome, status: int, answer: dict[str, Any], position: int | None) -> None:
        self.outcome, self.status, self.answer, self.position = outcome, status, answer, position
        self.code = str(answer.get("code", "")) if outcome == "refused" else ""
        self.settled_at = time.monotonic()


class History:
    """All operations of a run, in the order they were first sent."""

    def __init__(self, api_key: str) -> None:
        self._key_id = api_key.split("_")[1]
        self._operations: dict[str, Operation] = {}
        self.errors: list[str] = []
        """Answers that no client should ever get: a 5xx that is not 503, a malformed problem."""

    def add(self, operation: Operation) -> Operation:
        assert operation.id not in self._operations, operation.id
        self._operations[operation.id] = operation
        return operation

    def __iter__(self) -> Iterator[Operation]:
        return iter(list(self._operations.values()))

    def __len__(self) -> int:
        return len(self._operations)

    def get(self, id_: str) -> Operation | None:
        return self._operations.get(id_)

    def unsettled(self) -> list[Operation]:
        return [operation for operation in self if operation.outcome == "unknown"]

    def counts(self) -> Counter[str]:
        """Operations by outcome."""
        return Counter(operation.outcome for operation in self)

    def wish_id(self, operation_id: str) -> str:
        """The id that the API derives from its key and an Idempotency-Key: what a command id ends in."""
        digest = hashlib.sha256(f"{self._key_id}\0{operation_id}".encode()).digest()
        return "c_" + base64.b32encode(digest)[:26].decode().lower()
