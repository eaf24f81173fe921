"""Batches of transfers: what their own streams say, and, at the end, what became of each item that was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.chaos.checker.money import minor

if TYPE_CHECKING:
    from tests.chaos.checker.books import Books, Row, Saga

Wrong = Callable[[str, str, str], None]
OVER: Final = ("completed", "cancelled", "compensated", "stuck")
NOT_REACHED: Final = "not reached"
_STATUS: Final = {
    "BatchAccepted": "running",
    "BatchFailed": "compensating",
    "BatchPaused": "paused",
    "BatchResumed": "running",
    "BatchCompleted": "completed",
}


@dataclass
class Batch:
    """`became`: outcome by item, counted from 1. `stated`: first and last item of a chunk, and its sums."""

    stream: str
    status: str = "none"
    items: int = 0
    atomic: bool = False
    settled: int = 0
    released: int = 0
    undone: int = 0
    became: dict[int, str] = field(default_factory=dict)
    stated: list[tuple[int, int, list[dict[str, Any]]]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.stream.partition("-")[2]

    def see(self, row: Row, wrong: Wrong) -> None:
        """The next event of its stream. Chunks follow each other, there and on the way back."""
        where, data = f"{row.stream}@{row.version}", row.data
        if self.status in OVER:
            wrong("order", where, f"{row.type} after it was {self.status}")
        self.status = _STATUS.get(row.type, self.status)
        match row.type:
            case "BatchAccepted":
                self.items, self.atomic = data["items"], data["atomic"]
            case "BatchItemsSettled":
                if data["first"] != self.settled + 1:
                    wrong("order", where, f"item {data['first']} follows item {self.settled}")
                self._settle(data, "completed")
                self.settled = data["last"]
                if self.atomic and self.settled == self.items:
                    self.status = "releasing"
            case "BatchItemsReleased":
                if data["first"] != self.released + 1 or self.settled != self.items:
                    wrong("order", where, f"releases item {data['first']} with {self.settled} settled")
                self.released = data["last"]
            case "BatchItemsUndone":
                if data["last"] != self.settled - self.undone:
                    wrong("order", where, f"undoes item {data['last']}, {self.settled - self.undone} is the next")
                self._settle(data, "compensated")
                self.undone = self.settled - data["first"] + 1
            case "BatchCancelled":
                self.status = "compensating" if self.atomic else "cancelled"
            case "BatchCompensated":
                self.status = "stuck" if data.get("stuck") else "compensated"

    def _settle(self, data: Mapping[str, Any], plain: str) -> None:
        self.became.update(dict.fromkeys(range(data["first"], data["last"] + 1), plain))
        self.became.update((note["item"], note["status"]) for note in data.get("notes", ()))
        if plain == "completed":
            self.stated.append((data["first"], data["last"], data["sums"]))


def check(batch: Batch, sent: Mapping[str, Any], books: Books, wrong: Wrong) -> None:
    """Each item that was sent has one outcome, and moved exactly what that outcome says."""
    asked = sent["items"]
    if len(asked) != batch.items:
        wrong("effect as asked", batch.stream, f"has {batch.items} items, {len(asked)} were sent")
        return
    for number, item in enumerate(asked, 1):
        _item(batch.became.get(number, NOT_REACHED), item, books.saga(f"transfer-{batch.id}-{number}"), wrong)
    for first, last, stated in batch.stated:
        _sums(batch, asked, (first, last), stated, wrong)
    if batch.status not in (*OVER, "paused"):
        wrong("ends", batch.stream, f"is still {batch.status}, and nobody can see that it is stuck")
    became = set(batch.became.values())
    if batch.status == "completed" and (
        batch.settled != batch.items or (batch.atomic and became != {"completed"})
    ):
        wrong("ends", batch.stream, f"is completed with {batch.settled} of {batch.items} items: {sorted(became)}")
    if batch.status == "compensated" and became - {"compensated"}:
        wrong("compensation", batch.stream, f"is compensated with items that are {sorted(became)}")
    if batch.status in OVER:
        held = sum(
            amount
            for account in books.accounts.values()
            for hold, amount in account.holds.items()
            if hold.startswith(f"{batch.stream}:")
        )
        if held:
            wrong("holds", batch.stream, f"is {batch.status}, but {held} that it credited is still held")


def _item(became: str, item: Mapping[str, str], saga: Saga, wrong: Wrong) -> None:
    amount = minor(item)
    if became == "started":  # a transfer of its own, and checked as one
        if (saga.amount, saga.source, saga.target) != (amount, item["from_account"], item["to_account"]):
            wrong("effect as asked", saga.stream, f"was asked for {amount}, and is over {saga.amount}")
        return
    there = {(item["from_account"], "transfer"): -amount, (item["to_account"], "transfer"): amount}
    back = {(item["from_account"], "compensation"): amount, (item["to_account"], "compensation"): -amount}
    due = {"completed": there, "compensated": there | back}.get(became, {})
    moved = {what: change for what, change in saga.moved.items() if change}
    if moved != due:
        promise = "compensation" if became == "compensated" else "effect once"
        wrong(promise, saga.stream, f"is a {became} item over {amount}: moved {_shown(moved)}")
    if saga.signs:
        wrong("effect once", saga.stream, f"is a {became} item, and a transfer of its own that is {saga.status}")


def _shown(moved: Mapping[tuple[str, str], int]) -> str:
    return ", ".join(f"{change} at {account}" for (account, _), change in sorted(moved.items())) or "nothing"


def _sums(
    batch: Batch,
    asked: list[dict[str, str]],
    chunk: tuple[int, int],
    stated: list[dict[str, Any]],
    wrong: Wrong,
) -> None:
    """What a chunk's event says its items come to. An item that was undone later was completed then."""
    first, last = chunk
    count: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    for number in range(first, last + 1):
        became = batch.became[number]
        key = ("completed" if became in ("compensated", "stuck") else became, asked[number - 1]["currency"])
        count[key] += 1
        total[key] += minor(asked[number - 1])
    said = {(one["status"], one["amount"]["currency"]): (one["count"], minor(one["amount"])) for one in stated}
    if said != {key: (count[key], total[key]) for key in count}:
        wrong(
            "sums", batch.stream, f"items {first} to {last} come to {dict(count)}, {dict(total)}; it states {said}"
        )
