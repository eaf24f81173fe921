"""Wishes that arrive by signal or update while a workflow is busy: taken one at a time, each answered."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.steps import Wish

Step = TypeVar("Step")


class Asked(Generic[Step]):
    """One wish and its answer: where things stand after it, or why not."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.step: Step | None = None
        self.refusal: ApplicationError | None = None

    @property
    def settled(self) -> bool:
        return self.step is not None or self.refusal is not None

    def grant(self, step: Step) -> None:
        self.step = step

    def refuse(self, refusal: ApplicationError) -> None:
        self.refusal = refusal


class Inbox(Generic[Step]):
    """First come, first served. Once closed, every wish is refused at once with the reason given."""

    def __init__(self) -> None:
        self._waiting: deque[Asked[Step]] = deque()
        self._closed: ApplicationError | None = None

    def put(self, wish: Wish) -> Asked[Step]:
        """From a signal: nobody waits for the answer."""
        asked: Asked[Step] = Asked(wish)
        if self._closed is not None:
            asked.refuse(self._closed)
        else:
            self._waiting.append(asked)
        return asked

    async def ask(self, wish: Wish) -> Step:
        """From an update: waits for the answer. Raises the refusal."""
        asked = self.put(wish)
        await workflow.wait_condition(lambda: asked.settled)
        if asked.step is None:
            assert asked.refusal is not None
            raise asked.refusal
        return asked.step

    def take(self, kind: type[Wish] = Wish) -> Asked[Step] | None:
        """The next wish of this kind that is already here."""
        for asked in self._waiting:
            if isinstance(asked.wish, kind):
                self._waiting.remove(asked)
                return asked
        return None

    def put_back(self, asked: Asked[Step]) -> None:
        """It was taken, and comes first again."""
        self._waiting.appendleft(asked)

    async def next(self, until: datetime | None = None) -> Asked[Step] | None:
        """The next wish; None when `until` comes first."""
        left = None if until is None else max(until - workflow.now(), timedelta())
        try:
            await workflow.wait_condition(lambda: bool(self._waiting), timeout=left)
        except TimeoutError:
            return None
        return self._waiting.popleft()

    def close(self, reason: ApplicationError) -> None:
        """It is over: whoever waits is told why."""
        self._closed = reason
        while self._waiting:
            self._waiting.popleft().refuse(reason)
