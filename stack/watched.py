"""A part under supervision: what the supervisor asks of it, and when to start it again."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from stack.process import Child

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.2, 10.0
CALM_AFTER_S = 30.0  # a part that lived this long starts its backoff anew


class Part(Protocol):
    """Something the supervisor runs."""

    name: str
    log: Path

    @property
    def child(self) -> Child | None: ...
    def launch(self) -> None: ...
    def ready(self) -> bool: ...
    def stop(self, hurry: bool = False) -> None: ...


class Watched:
    """A part, and when to start it again should it have died."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.failures = 0
        self.restart_at: float | None = None

    def died(self, now: float) -> float:
        """Note a death; seconds until the next start."""
        child = self.part.child
        if child is not None and now - child.started_at > CALM_AFTER_S:
            self.failures = 0
        wait_s: float = min(FIRST_BACKOFF_S * 2**self.failures, LONGEST_BACKOFF_S)
        self.failures += 1
        self.restart_at = now + wait_s
        return wait_s
