"""Which acts make up a run: some of each special kind, and everyday payments and transfers up to the count."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from demo import payments, trading, transfers
from demo.acts import Act, Play, numbered
from demo.cast import CURRENCIES, HELD, LARGEST, Cast
from domain.money import Money

SMALLEST_PART = 100
"""Everyday amounts are at least a hundredth of the largest."""

PAYMENT_SHARE = 0.6

_PAYMENTS: list[tuple[int, str, str, Play]] = [
    (6, "manual capture", "processed", payments.captured),
    (5, "captured in part, the rest voided", "processed", payments.captured_in_part),
    (3, "cancelled by a signal while authorised", "cancelled", payments.cancelled_by_signal),
    (1, "never captured", "expired", payments.expired),
    (3, "refunded", "refunded", payments.refunded),
    (3, "refunded in part", "partially_refunded", payments.refunded_in_part),
    (1, "disputed, won by the shop", "processed", payments.dispute_won),
    (2, "disputed, lost by the shop", "charged_back", payments.dispute_lost),
    (4, "sent twice, paid once", "processed", payments.twice),
]
"""How many, what is special, how it ends, how it is played: between any person and any shop."""

_TRANSFERS: list[tuple[int, str, str, Play]] = [
    (3, "sent twice, moved once", "completed", transfers.twice),
    (2, "scheduled, made at its time", "completed", transfers.scheduled),
    (1, "standing order, a run skipped, one made", "completed", transfers.standing),
]


_ORDERS: list[tuple[str, str, str, Play]] = [
    ("sold in two parts, delivered against payment", "filled", "1000.00", trading.sold),
    ("partly filled, the rest cancelled", "cancelled", "1000.00", trading.cancelled),
    ("amended until it met a buyer", "filled", "950.00", trading.amended),
    ("not covered", "rejected", "20000.00", trading.uncovered),
    ("fill or kill, not all was there", "cancelled", "1200.00", trading.killed),
    ("trading halted", "rejected", "200.00", trading.halted),
]
"""What is special, how it ends, what it is worth, how it is played: each on a share of its own."""


class _Author:
    """Throws the dice for one run."""

    def __init__(self, cast: Cast, random: Random) -> None:
        self._cast = cast
        self._random = random

    def currency(self) -> str:
        return self._random.choices(list(CURRENCIES), list(CURRENCIES.values()))[0]

    def everyday(self, currency: str) -> Money:
        largest = Money.from_decimal(LARGEST[currency], currency)
        return largest.with_minor(self._random.randint(largest.minor // SMALLEST_PART, largest.minor))

    def payment(self, title: str, ends: str, play: Play, **given: Any) -> Act:
        """A person pays a shop; `given`: source, target, amount, where they matter."""
        amount = given.get("amount") or self.everyday(self.currency())
        source = given.get("source") or self._cast.any_person(self._random, amount.currency)
        target = given.get("target") or self._cast.any_shop(self._random, amount.currency)
        return Act("payment", "", title, amount, source, target, ends, play)

    def transfer(self, title: str, ends: str, play: Play, **given: Any) -> Act:
        """A person transfers to another."""
        amount = given.get("amount") or self.everyday(self.currency())
        source, target = self._cast.two_people(self._random, amount.currency)
        source, target = given.get("source") or source, given.get("target") or target
        return Act("transfer", "", title, amount, source, target, ends, play)

    def euros(self) -> Money:
        return self.everyday("EUR")

    def shop(self, currency: str) -> str:
        return self._cast.any_shop(self._random, currency)

    def anyone(self, currency: str) -> str:
        return self._cast.any_person(self._random, currency)


def write(cast: Cast, count: int, random: Random, with_rail: bool) -> list[Act]:
    """`count` acts in random order. Raises ValueError where the special ones alone are more."""
    author = _Author(cast, random)
    acts = [
        make(title, ends, play)
        for make, kinds in ((author.payment, _PAYMENTS), (author.transfer, _TRANSFERS))
        for number, title, ends, play in kinds
        for _ in range(number)
    ]
    acts += [_order(*kind) for kind in _ORDERS]
    acts += _declined(author, cast) + _reviewed(author) + _undone(author, cast) + _exchanged(author)
    if with_rail:
        acts += _by_rail(author, cast)
    if len(acts) > count:
        raise ValueError(f"the special acts alone are {len(acts)}")
    while len(acts) < count:
        if random.random() < PAYMENT_SHARE:
            acts.append(author.payment("everyday", "processed", payments.automatic))
        else:
            acts.append(author.transfer("everyday", "completed", transfers.plain))
    random.shuffle(acts)
    return numbered(acts, cast.run)


def _order(title: str, ends: str, worth: str, play: Play) -> Act:
    return Act("order", "", title, Money.from_decimal(worth, "EUR"), "seller", "buyer", ends, play)


def _declined(author: _Author, cast: Cast) -> list[Act]:
    """Said no to at once: nothing moves."""
    poor: dict[str, Any] = {"source": cast.poor, "amount": Money.from_decimal("50.00", "EUR")}
    acts = []
    for _ in range(4):
        acts.append(author.payment("insufficient funds", "failed", payments.automatic, **poor))
        acts.append(author.transfer("insufficient funds", "rejected", transfers.plain, **poor))
    closed: dict[str, Any] = {"target": cast.closed, "amount": author.euros()}
    frozen: dict[str, Any] = {"source": cast.frozen, "amount": author.euros()}
    acts.append(author.payment("payee closed", "failed", payments.automatic, **closed))
    acts.append(author.payment("payer frozen", "failed", payments.automatic, **frozen))
    acts.append(author.transfer("source frozen", "rejected", transfers.plain, **frozen))
    return acts


def _reviewed(author: _Author) -> list[Act]:
    """Held for review for their amount; a person decides."""

    def held(make: Callable[..., Act], currency: str, title: str, ends: str, play: Play) -> Act:
        return make(title, ends, play, amount=Money.from_decimal(HELD[currency], currency))

    return [
        held(author.payment, "EUR", "held for review, approved", "processed", payments.approved),
        held(author.payment, "JPY", "held for review, approved", "processed", payments.approved),
        held(author.payment, "USD", "held for review, rejected", "failed", payments.rejected),
        held(author.payment, "EUR", "suspected, cleared by an analyst", "processed", payments.cleared_by_analyst),
        held(author.payment, "EUR", "suspected, found to be fraud", "failed", payments.fraud_found),
        held(author.transfer, "KWD", "held for review, approved", "completed", transfers.approved),
        held(author.transfer, "USD", "held for review, approved", "completed", transfers.approved),
        held(author.transfer, "JPY", "held for review, rejected", "rejected", transfers.rejected),
        held(author.transfer, "EUR", "cancelled by a signal in review", "cancelled", transfers.cancelled),
    ]


def _undone(author: _Author, cast: Cast) -> list[Act]:
    """Transfers that fail half way and are compensated."""
    acts = []
    for _ in range(4):
        closed: dict[str, Any] = {"target": cast.closed, "amount": author.euros()}
        acts.append(author.transfer("destination closed", "compensated", transfers.plain, **closed))
    return acts


def _exchanged(author: _Author) -> list[Act]:
    """Across currencies, each over a quote of the platform's."""
    acts = []
    for _ in range(4):
        dollars: dict[str, Any] = {"target": author.anyone("USD"), "amount": author.euros()}
        acts.append(author.transfer("exchanged into dollars", "completed", transfers.exchanged, **dollars))
    for _ in range(2):
        held = Money.from_decimal(HELD["EUR"], "EUR")
        late: dict[str, Any] = {"target": author.anyone("USD"), "amount": held}
        acts.append(
            author.transfer("quote expired while in review", "compensated", transfers.quote_expired, **late)
        )
    for number, currency, title, ends, play in (
        (3, "USD", "paid in euros, received in dollars", "processed", payments.exchanged),
        (2, "JPY", "captured in two parts, in yen", "processed", payments.exchanged_in_parts),
        (1, "USD", "exchanged, then refunded", "refunded", payments.exchanged_and_refunded),
    ):
        for _ in range(number):
            acts.append(author.payment(title, ends, play, target=author.shop(currency), amount=author.euros()))
    return acts


def _by_rail(author: _Author, cast: Cast) -> list[Act]:
    """To another bank: answered, refused, silent, and stuck."""

    def to_bank(behaviour: str, title: str, ends: str, play: Play, **given: Any) -> Act:
        target = cast.at_other_bank(behaviour)
        return author.transfer(title, ends, play, target=target, amount=author.euros(), **given)

    noa, max_ = cast.spender("noa"), cast.spender("max")
    returned = transfers.stuck_and_returned
    return [
        to_bank("accepts", "to another bank", "completed", transfers.by_rail),
        to_bank("accepts", "to another bank", "completed", transfers.by_rail),
        to_bank("refuses", "refused by another bank", "compensated", transfers.by_rail),
        to_bank("slow", "other bank silent, then asked again", "completed", transfers.by_rail),
        to_bank("1-late-no", "no way forward or back", "stuck", transfers.stuck, source=noa),
        to_bank("2-late-no", "stuck, returned by an operator", "compensated", returned, source=max_),
    ]
