"""A bank's statement against a ledger's: what agrees, what is missing on a side, what differs.

Each booking is used once. In turn: the same name and amount; the same name, of one booking on each side, with
another amount, which differs; the same amount on the same day. What is left is missing on the other side.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Literal

from domain.money import Money
from payfiles.statement import StatementEntry, StatementFile

By = Literal["reference", "amount_and_day"]


@dataclass(frozen=True, slots=True)
class Pair:
    """The same booking on both sides."""

    theirs: StatementEntry
    ours: StatementEntry
    by: By


@dataclass(frozen=True, slots=True)
class BalanceDifference:
    """`which`: opening or closing."""

    which: str
    theirs: Money
    ours: Money


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`missing_in_ledger` is only on the statement, `missing_in_statement` only in the ledger."""

    matched: tuple[Pair, ...]
    differing: tuple[Pair, ...]
    missing_in_ledger: tuple[StatementEntry, ...]
    missing_in_statement: tuple[StatementEntry, ...]
    balances: tuple[BalanceDifference, ...]

    @property
    def agrees(self) -> bool:
        return not (self.differing or self.missing_in_ledger or self.missing_in_statement or self.balances)


Keys = Callable[[StatementEntry], Iterable[Hashable]]


def reconcile(theirs: StatementFile, ours: StatementFile, days: int = 0) -> Reconciliation:
    """Both of one account and period. `days`: so far apart may amounts without a common name be booked."""
    left, right = list(theirs.entries), list(ours.entries)
    matched = _take_pairs("reference", left, right, _name_and_amount)
    single = _names_of_one(left) & _names_of_one(right)
    differing = _take_pairs("reference", left, right, lambda entry: [x for x in entry.known_by if x in single])
    for apart in sorted(range(-days, days + 1), key=abs):
        matched += _take_pairs(
            "amount_and_day", left, right, _amount_and_day, partial(_amount_and_day, apart=apart)
        )
    order = {id(entry): number for number, entry in enumerate(theirs.entries)}
    return Reconciliation(
        matched=tuple(sorted(matched, key=lambda pair: order[id(pair.theirs)])),
        differing=tuple(differing),
        missing_in_ledger=tuple(left),
        missing_in_statement=tuple(right),
        balances=tuple(_balances(theirs, ours)),
    )


def _take_pairs(
    by: By, left: list[StatementEntry], right: list[StatementEntry], keys: Keys, keys_of_right: Keys | None = None
) -> list[Pair]:
    """Takes out of both lists what has a key in common, in the order of both."""
    waiting: dict[Hashable, deque[StatementEntry]] = defaultdict(deque)
    for entry in right:
        for key in (keys_of_right or keys)(entry):
            waiting[key].append(entry)
    used: set[int] = set()
    pairs = []
    for entry in left:
        for key in keys(entry):
            while waiting[key] and id(waiting[key][0]) in used:
                waiting[key].popleft()
            if waiting[key]:
                pairs.append(Pair(entry, waiting[key].popleft(), by))
                used |= {id(entry), id(pairs[-1].ours)}
                break
    left[:] = [entry for entry in left if id(entry) not in used]
    right[:] = [entry for entry in right if id(entry) not in used]
    return pairs


def _name_and_amount(entry: StatementEntry) -> Iterable[Hashable]:
    return [(name, entry.amount) for name in entry.known_by]


def _amount_and_day(entry: StatementEntry, apart: int = 0) -> Iterable[Hashable]:
    return [(entry.day + timedelta(days=apart), entry.amount)]


def _names_of_one(entries: list[StatementEntry]) -> set[str]:
    times = Counter(name for entry in entries for name in entry.known_by)
    return {name for name, count in times.items() if count == 1}


def _balances(theirs: StatementFile, ours: StatementFile) -> Iterator[BalanceDifference]:
    for which in ("opening", "closing"):
        stated, own = getattr(theirs, which), getattr(ours, which)
        if stated is not None and stated != own:
            yield BalanceDifference(which, stated, own)
