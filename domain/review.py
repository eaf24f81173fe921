"""A person's decision over something that screening held for review; payments and transfers share it."""

from __future__ import annotations

from domain.model import Command, Event, Id, Text


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
