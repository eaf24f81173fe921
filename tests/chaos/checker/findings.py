"""What the checker says when a promise is broken: one line that names it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """`promise` is short and stable; `where` names a stream, account, operation or position."""

    promise: str
    where: str
    message: str

    def line(self) -> str:
        return f"VIOLATION {self.promise}: {self.where}: {self.message}"


class Findings:
    """All violations, the first of each (promise, where) only."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Violation] = {}

    def add(self, promise: str, where: str, message: str) -> None:
        self._found.setdefault((promise, where), Violation(promise, where, message))

    def __iter__(self) -> Iterator[Violation]:
        return iter(list(self._found.values()))

    def __len__(self) -> int:
        return len(self._found)

    def of(self, *promises: str) -> list[Violation]:
        return [violation for violation in self._found.values() if violation.promise in promises]
