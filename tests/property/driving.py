"""Commands for random stories: what is asked is mostly what can work, now and then anything at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

from domain import account_messages as am
from domain import payment_legs as paying
from domain import payment_messages as pm
from domain import transfer_legs as saga
from domain import transfer_messages as tm
from domain.account import initial
from domain.errors import DomainError
from domain.leg import Leg
from domain.money import Money
from domain.quote_messages import IssueQuote, Quote
from domain.review import ApproveReview, RejectReview
from domain.screening import ScreeningLimits
from domain.transfer import FINAL, TransferStatus
from tests.fixtures.books import Books
from tests.unit.given import AT

EURO, DOLLAR = ("a", "b", "c"), ("u", "v")
OTHERS = ("x", "fees", "fees-USD", "fx-EUR", "fx-USD")
SOON, FAR = timedelta(seconds=1), timedelta(seconds=60)
HOLDS = ("h1", "h2")
RATES = ("0", "0.01", "0.1", "0.5", "1")
RESOLUTIONS = get_args(tm.ResolutionAction)

LIMITS = ScreeningLimits(review_above=Decimal("0.24"), velocity_max=20, velocity_window_s=60)

ACCOUNT_STEPS = [
    "deposit",
    "deposit",
    "withdraw",
    "reserve",
    "release",
    "expire",
    "freeze",
    "unfreeze",
    "unfreeze",
    "unfreeze",
    "limits",
]
PAYMENT_STEPS = ["approve", "reject", "capture", "cancel", "expire", "refund", "dispute", "win", "lose"]
TRANSFER_STEPS = [
    "approve",
    "reject",
    "cancel",
    "debit",
    "debit_late",
    "credit",
    "refuse",
    "unknown",
    "release",
    "refund",
    "refund_elsewhere",
    "finish",
    "block",
    "suspense",
    "retry",
    "return",
    "force_complete",
]
# What can work from a status; anything at all is asked now and then.
LIKELY_OF_PAYMENT = {
    "in_review": ["approve", "approve", "approve", "reject", "cancel", "expire"],
    "authorized": ["capture", "capture", "capture", "capture", "cancel", "expire"],
    "partially_captured": ["capture", "capture", "capture", "cancel", "expire"],
    "processed": ["refund", "dispute"],
    "partially_refunded": ["refund", "dispute"],
    "disputed": ["lose", "win"],
}
LIKELY_OF_TRANSFER = {
    "in_review": ["approve", "approve", "approve", "reject", "cancel"],
    "reserved": ["debit", "debit", "debit", "debit_late", "cancel"],
    "in_transit": ["credit", "credit", "refuse", "refuse", "unknown", "cancel"],
    "compensating": ["release", "refund", "refund_elsewhere", "finish", "block", "block"],
    "stuck": ["suspense", "suspense", "retry", "return", "force_complete", "refund", "release", "finish"],
}


def currency_of(account_id: str) -> str:
    return "USD" if account_id in (*DOLLAR, "fx-USD", "fees-USD") else "EUR"


class Driver:
    """Commands over books of `size` payments and transfers. Each may be refused; nothing else may go wrong."""

    def __init__(self, size: int) -> None:
        self.payments = tuple(f"p{number}" for number in range(size))
        self.transfers = tuple(f"t{number}" for number in range(size))
        streams = [f"account-{name}" for name in (*EURO, *DOLLAR, *OTHERS)]
        streams += [f"payment-{payment_id}" for payment_id in self.payments]
        streams += [f"transfer-{transfer_id}" for transfer_id in self.transfers]
        streams += [f"quote-{order}" for order in (*self.payments, *self.transfers)]
        self.books = Books(*streams)
        self.at = AT

    def ask(self, act: Callable[[Leg], object]) -> None:
        """Accepted or refused: both are fine. Anything else that is raised is a defect."""
        before = dict(self.books.states)
        try:
            self.books.leg(act)
        except DomainError:
            assert self.books.states == before

    def new(self, ids: Sequence[str], wanted: str, category: str) -> str:
        """One that is not used yet, if there is any: a repeat is asked for only then."""
        unused = (i for i in (wanted, *ids) if self.books.states[f"{category}-{i}"].status == "none")
        return next(unused, wanted)

    def alive(self, ids: Sequence[str], wanted: str, category: str, steps: Mapping[str, object]) -> str:
        """One to which something can still happen, if there is any."""
        going = (i for i in (wanted, *ids) if self.books.states[f"{category}-{i}"].status in steps)
        return next(going, wanted)

    def tell(self, account_id: str, command: Any) -> None:
        self.ask(lambda leg: leg.on_account(account_id, command))

    def money(self, minor: int, account_id: str) -> Money:
        return Money(minor, currency_of(account_id))

    # --- accounts ------------------------------------------------------------

    def open_the_accounts(self, overdrafts: list[int]) -> None:
        for name, overdraft in zip((*EURO, *DOLLAR, "x", "fx-USD"), overdrafts, strict=True):
            opening = am.OpenAccount(
                at=self.at,
                account_id=name,
                user_id=f"user-{name}",
                currency=currency_of(name),
                overdraft_limit=self.money(overdraft, name),
                rail="sepa" if name == "x" else None,
            )
            self.tell(name, opening)
        for name in (*EURO, *DOLLAR, "fx-USD"):
            self.tell(name, am.Deposit(at=self.at, amount=self.money(90, name)))

    def account_step(self, name: str, step: str, minor: int, hold: str) -> None:
        at, amount, until = self.at, self.money(minor, name), self.at + SOON
        commands: dict[str, am.AccountCommand] = {
            "deposit": am.Deposit(at=at, amount=amount),
            "withdraw": am.Withdraw(at=at, amount=amount),
            "reserve": am.Reserve(at=at, hold_id=hold, amount=amount, counterparty="z", expires_at=until),
            "release": am.ReleaseHold(at=at, hold_id=hold),
            "expire": am.ExpireHold(at=until, hold_id=hold),
            "freeze": am.Freeze(at=at),
            "unfreeze": am.Unfreeze(at=at),
            "limits": am.SetLimits(at=at, limits=am.AccountLimits(velocity_max=1 + minor), by="ops"),
        }
        self.tell(name, commands[step])

    def take_all_and_close(self, name: str, sure: int) -> None:
        """To the last cent; not often, or soon nothing would be left to happen."""
        if sure > 3:
            return
        state = self.books.account(name)
        self.tell(name, am.Withdraw(at=self.at, amount=self.money(state.available, name)))
        assert state.status != "open" or state.rail or self.books.account(name).available == 0
        if sure == 0:
            self.tell(name, am.Close(at=self.at))

    # --- payments ------------------------------------------------------------

    def quote(self, order: str, source: str, destination: str, minor: int, bought: int) -> Quote | None:
        """Promised just before, where the two are in different currencies; now and then for another amount."""
        if currency_of(source) == currency_of(destination):
            return None
        quote = Quote(
            quote_id=order,
            buys=self.money(bought, destination),
            rate=Decimal(bought) / minor,
            expires_at=self.at + (FAR if minor % 3 else SOON),
        )
        sells = self.money(minor + (bought == 13), source)
        issue = IssueQuote(at=self.at, sells=sells, mid=quote.rate, spread=Decimal(0), **dict(quote))
        self.ask(lambda leg: leg.on_quote(order, issue))
        return quote

    def pay(self, number: int, payer: str, payee: str, minor: int, rate: str) -> None:
        payment_id = self.new(self.payments, self.payments[number], "payment")
        quote = self.quote(payment_id, payer, payee, minor, bought=minor * 7 % 29 + 1)
        terms = pm.PaymentTerms(
            at=self.at,
            payment_id=payment_id,
            from_account=payer,
            to_account=payee,
            amount=self.money(minor, payer),
            quote=quote,
            fee_rate=Decimal(rate),
            fee_account="fees" if currency_of(payee) == "EUR" else "fees-USD",
            expires_at=self.at + FAR if quote is None else quote.expires_at,
        )
        # Now and then the cancel came first.
        cancel = pm.CancelPayment(at=self.at) if minor == 7 else None
        self.ask(lambda leg: paying.open_payment(leg, terms, LIMITS, cancel))

    def payment_step(self, number: int, choice: int, sensible: bool, minor: int | None) -> None:
        payment_id = self.payments[number]
        if sensible:
            payment_id = self.alive(self.payments, payment_id, "payment", LIKELY_OF_PAYMENT)
        status = self.books.payment(payment_id).status.value
        steps = LIKELY_OF_PAYMENT.get(status, PAYMENT_STEPS) if sensible else PAYMENT_STEPS
        currency = self.books.payment(payment_id).currency or "EUR"
        at, step, amount = self.at, steps[choice % len(steps)], None if minor is None else Money(minor, currency)
        if step == "expire" and sensible:
            at += FAR
        acts: dict[str, Callable[[Leg], object]] = {
            "approve": lambda leg: paying.approve_payment(leg, payment_id, ApproveReview(at=at, by="ops")),
            "reject": lambda leg: paying.reject_payment(leg, payment_id, RejectReview(at=at, by="ops")),
            "capture": lambda leg: paying.capture_payment(
                leg, payment_id, pm.CapturePayment(at=at, amount=amount)
            ),
            "cancel": lambda leg: paying.cancel_payment(leg, payment_id, pm.CancelPayment(at=at)),
            "expire": lambda leg: paying.expire_payment(leg, payment_id, pm.ExpirePayment(at=at)),
            "refund": lambda leg: paying.refund_payment(
                leg, payment_id, pm.RefundPayment(at=at, refund_id="r", amount=amount)
            ),
            "dispute": lambda leg: paying.open_dispute(leg, payment_id, at, "never came"),
            "win": lambda leg: paying.resolve_dispute(
                leg, payment_id, pm.ResolveDispute(at=at, outcome="won", by="ops")
            ),
            "lose": lambda leg: paying.resolve_dispute(
                leg, payment_id, pm.ResolveDispute(at=at, outcome="lost", by="ops")
            ),
        }
        self.ask(acts[step])

    # --- transfers ------------------------------------------------------------

    def transfer(self, number: int, source: str, destination: str, minor: int, bought: int) -> None:
        transfer_id = self.new(self.transfers, self.transfers[number], "transfer")
        quote = self.quote(transfer_id, source, destination, minor, bought)
        terms = tm.TransferTerms(
            at=self.at,
            transfer_id=transfer_id,
            from_account=source,
            to_account=destination,
            amount=self.money(minor, source),
            quote=quote,
        )
        until = self.at + FAR
        # Now and then the cancel came first.
        cancel = tm.CancelTransfer(at=self.at) if minor == bought else None
        self.ask(lambda leg: saga.open_transfer(leg, terms, until, LIMITS, cancel))

    def transfer_step(self, number: int, choice: int, sensible: bool, elsewhere: str) -> None:
        transfer_id = self.transfers[number]
        if sensible:
            transfer_id = self.alive(self.transfers, transfer_id, "transfer", LIKELY_OF_TRANSFER)
        status = self.books.transfer(transfer_id).status.value
        steps = LIKELY_OF_TRANSFER.get(status, TRANSFER_STEPS) if sensible else TRANSFER_STEPS
        self.on_transfer(transfer_id, steps[choice % len(steps)], elsewhere)
        self.at += SOON

    def on_transfer(self, transfer_id: str, step: str, elsewhere: str) -> None:
        at, source = self.at, self.books.transfer(transfer_id).from_account or elsewhere
        raw: dict[str, tm.TransferCommand] = {
            "reject": RejectReview(at=at, by="ops"),
            "cancel": tm.CancelTransfer(at=at),
            "refuse": tm.RefuseCredit(at=at, code="rail_refused", reason="no"),
            "unknown": tm.RecordUnknownOutcome(at=at, leg="destination", key="k", reason="timeout"),
            "finish": tm.FinishCompensation(at=at),
            "block": tm.BlockCompensation(at=at, step="s", code="c", reason="r"),
            "suspense": tm.MoveToSuspense(at=at),
        }
        legs: dict[str, Callable[[Leg], object]] = {
            "approve": lambda leg: saga.approve_transfer(
                leg, transfer_id, ApproveReview(at=at, by="ops"), at + FAR
            ),
            "debit": lambda leg: saga.debit_source(leg, transfer_id, tm.DebitSource(at=at)),
            "debit_late": lambda leg: saga.debit_source(leg, transfer_id, tm.DebitSource(at=at + FAR)),
            "credit": lambda leg: saga.credit_destination(leg, transfer_id, tm.CreditDestination(at=at)),
            "release": lambda leg: saga.release_source(leg, transfer_id, tm.ReleaseSource(at=at)),
            "refund": lambda leg: saga.refund_source(leg, transfer_id, tm.RefundSource(at=at, to_account=source)),
            "refund_elsewhere": lambda leg: saga.refund_source(
                leg, transfer_id, tm.RefundSource(at=at, to_account=elsewhere)
            ),
        }
        for action in RESOLUTIONS:
            command = tm.RequestResolution(at=at, action=action, by="ops", to_account=elsewhere)
            legs[action] = lambda leg, command=command: saga.resolve_transfer(  # type: ignore[misc]
                leg, transfer_id, command
            )
        self.ask(legs.get(step) or (lambda leg: leg.on_transfer(transfer_id, raw[step])))

    # --- the end ------------------------------------------------------------

    def settle(self) -> None:
        """The end of the story: the events say all of it, and every saga ends."""
        assert self.books.replayed() == self.books.states, "the events do not say what happened"
        for transfer_id in self.transfers:
            assert self._ends(transfer_id)

    def _ends(self, transfer_id: str) -> bool:
        """Whatever happened, the saga's own steps bring it to its end or to an operator's way out."""
        if self.books.transfer(transfer_id).status is TransferStatus.IN_REVIEW:
            self.on_transfer(transfer_id, "reject", "a")
        for step in ("debit_late", "credit", "refund", "release", "finish", "block", "suspense"):
            self.on_transfer(transfer_id, step, "a")
        if self.books.transfer(transfer_id).status is TransferStatus.STUCK:
            currency = self.books.transfer(transfer_id).currency
            home = f"home-{currency}"
            self.books.states.setdefault(f"account-{home}", initial())
            self.tell(home, am.OpenAccount(at=self.at, account_id=home, user_id="u", currency=currency))
            self.on_transfer(transfer_id, "return", home)
        self.books.check()
        return self.books.transfer(transfer_id).status in {*FINAL, TransferStatus.NONE}
