"""Standing orders: each nominal run has one outcome, and moved money once or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.chaos.checker.money import minor

if TYPE_CHECKING:
    from tests.chaos.checker.books import Books, Row

Wrong = Callable[[str, str, str], None]
_STATUS: Final = {
    "StandingOrderCreated": "active",
    "StandingOrderPaused": "paused",
    "StandingOrderResumed": "active",
    "StandingOrderCancelled": "cancelled",
    "StandingOrderEnded": "ended",
}
_OUTCOMES: Final = ("RunMade", "RunFailed", "RunMissed", "RunSkipped")


class Outcome(NamedTuple):
    """What became of a run: a type of event, its transfer, if it has one, and the amount that held then."""

    type: str
    transfer: str | None
    amount: int


@dataclass
class Standing:
    """`runs`: by nominal time. `amount` and `end_at`: as created, or as amended last."""

    stream: str
    status: str = "none"
    created: dict[str, Any] = field(default_factory=dict)
    amount: int = 0
    end_at: str | None = None
    runs: dict[datetime, Outcome] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.stream.partition("-")[2]

    def see(self, row: Row, wrong: Wrong) -> None:
        """The next event of its stream."""
        where, data = f"{row.stream}@{row.version}", row.data
        if self.status in ("ended", "cancelled"):
            wrong("order", where, f"{row.type} after it was {self.status}")
        if row.type == "StandingOrderCreated":
            self.created = data
            self.amount, self.end_at = minor(data["instruction"]["amount"]), data["timetable"].get("end_at")
        if row.type == "StandingOrderAmended":
            self.amount, self.end_at = minor(data["amount"]), data.get("end_at")
        if row.type in _OUTCOMES:
            self._run(row, datetime.fromisoformat(data["run_at"]), where, wrong)
        self.status = _STATUS.get(row.type, self.status)

    def _run(self, row: Row, run_at: datetime, where: str, wrong: Wrong) -> None:
        if run_at in self.runs:
            before = self.runs[run_at].type
            wrong("effect once", where, f"the run at {run_at:%H:%M:%S} is a {row.type}, and was a {before}")
        if self.status != "active" and row.type != "RunSkipped":
            wrong("order", where, f"{row.type} while it was {self.status}")
        if not self._nominal(run_at):
            wrong("effect as asked", where, f"{row.type} at {run_at:%H:%M:%S}, which its timetable does not have")
        self.runs[run_at] = Outcome(row.type, row.data.get("transfer_id"), self.amount)

    def _nominal(self, run_at: datetime) -> bool:
        """Whether it is a time of its timetable: the load has runs at an interval, or one."""
        table = self.created["timetable"]
        first, every_s = datetime.fromisoformat(table["first_at"]), table.get("every_s")
        if every_s is None:
            return run_at == first
        ended = self.end_at is not None and run_at > datetime.fromisoformat(self.end_at)
        return first <= run_at and not ended and not (run_at - first) % timedelta(seconds=every_s)


def runs_of(books: Books) -> dict[str, Standing]:
    """Stream of a run's transfer → whose run it is."""
    return {
        f"transfer-{transfer}": standing
        for standing in books.standing.values()
        for _, transfer, _ in standing.runs.values()
        if transfer is not None
    }


def check(standing: Standing, asked: dict[str, Any], books: Books, wrong: Wrong) -> None:
    """At the end: it is what was sent, no run is outstanding, each run's transfer is what it was to move then."""
    instruction = standing.created["instruction"]
    due = (minor(instruction["amount"]), instruction["from_account"], instruction["to_account"])
    if due != (minor(asked), asked["from_account"], asked["to_account"]):
        wrong("effect as asked", standing.stream, f"is over {due}, which is not what was sent")
    if standing.status == "active":
        wrong("ends", standing.stream, "is still active, and its last run was to be seconds ago")
    for run_at, (outcome, transfer, amount) in standing.runs.items():
        if transfer is None:
            continue
        saga, where = books.saga(f"transfer-{transfer}"), f"{standing.stream} at {run_at:%H:%M:%S}"
        if (saga.amount, saga.source, saga.target) != (amount, *due[1:]):
            wrong("effect as asked", where, f"is to move {amount}; {transfer} is over {saga.amount}")
        if outcome == "RunFailed" and any(saga.moved.values()):
            wrong("effect once", where, f"has failed, and {transfer} has moved money")
