"""A person's decision over something that screening held for review; payments and transfers share it."""

from __future__ import annotations

from dataclasses import dataclass

from domain.model import Command, Event, Id, Text

SCREENING = "screening"
"""Who rejects what no person has looked at."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Why something was held: the rules that fired, their reasons, and the score they add up to."""

    score: int
    reasons: tuple[str, ...]
    rules: tuple[str, ...]


class ApproveReview(Command):
    by: Id
    note: Text | None = None


class RejectReview(Command):
    by: Id
    note: Text | None = None


class ReviewApproved(Event):
    by: Id
    note: Text | None = None


class ReviewRejected(Event):
    by: Id
    note: Text | None = None
