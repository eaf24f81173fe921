"""Quotes, and orders across currencies: each currency nets to zero by itself, at exactly what was promised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from tests.chaos.checker.money import minor

if TYPE_CHECKING:
    from tests.chaos.checker.books import Books, Row, Saga

Wrong = Callable[[str, str, str], None]


@dataclass
class Quote:
    """`used`: the streams that have taken it."""

    stream: str
    sells: dict[str, Any] = field(default_factory=dict)
    buys: dict[str, Any] = field(default_factory=dict)
    used: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.stream.partition("-")[2]

    def see(self, row: Row, wrong: Wrong) -> None:
        """The next event of its stream."""
        if row.type == "QuoteIssued":
            self.sells, self.buys = row.data["sells"], row.data["buys"]
        elif row.type == "QuoteUsed":
            self.used.append(row.data["by"])
            if len(self.used) > 1:
                wrong("effect once", f"{row.stream}@{row.version}", f"is used by {' and '.join(self.used)}")


def begun(saga: Saga, data: dict[str, Any]) -> None:
    """What its first event says of an exchange."""
    if data.get("quote"):
        saga.quote = data["quote"]["quote_id"]
        saga.buys, saga.bought = minor(data["quote"]["buys"]), data["quote"]["buys"]["currency"]


def whole(saga: Saga, books: Books, where: str, wrong: Wrong) -> None:
    """After an append: what came in its name, under way included, is what went, in each currency."""
    left: dict[str, int] = defaultdict(int)
    left[saga.currency] = saga.under_way
    for (account, _), change in saga.moved.items():
        left[books.accounts[account].currency] += change
    more = ", ".join(f"{change} {currency}" for currency, change in sorted(left.items()) if change)
    if more:
        wrong("both legs", where, f"{saga.stream} has paid out {more} more than it took")


def check(saga: Saga, books: Books, wrong: Wrong) -> None:
    """At the end, of an order that names a quote: it is its quote's, and both sides got what that promised."""
    quote = books.quotes.get(f"quote-{saga.quote}")
    promised = None if quote is None else (minor(quote.sells), minor(quote.buys), quote.used)
    if promised != (saga.amount, saga.buys, [saga.stream]):
        order = f"{saga.amount} for {saga.buys}"
        wrong("effect as asked", saga.stream, f"is over {order}; quote {saga.quote} promised {promised}")
    took = -_changed(saga, saga.source)
    sold, given = _changed(saga, f"fx-{saga.currency}"), -_changed(saga, f"fx-{saga.bought}")
    due = saga.amount if saga.status == "completed" else saga.captured
    bought = settled(saga, due)
    if (sold, given) != (due, bought):
        message = f"{saga.status}: the platform took {sold} and gave {given}, not {due} and {bought}"
        wrong("both legs", saga.stream, message)
    if saga.status in ("completed", "compensated", "processed") and took != due:
        wrong("effect once", saga.stream, f"{saga.status}: its payer gave {took}, not {due}")


def settled(saga: Saga, part: int) -> int:
    """What `part` of its amount comes to on the other side: its exact share, rounded half-even."""
    return round(Fraction(saga.buys * part, saga.amount))


def _changed(saga: Saga, account: str) -> int:
    return sum(change for (name, _), change in saga.moved.items() if name == account)
