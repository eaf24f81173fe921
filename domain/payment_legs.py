"""What each step of a payment does to the payment and to the accounts at once. One function, one append."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from domain.account import Account, AccountStatus
from domain.account_messages import Credit, Debit, ExpireHold, Purpose, ReleaseHold, Reserve
from domain.errors import Conflict, DomainError, InvalidInput, NotFound
from domain.exchange_legs import exchange, must_not_need_quote, open_system_account, take_quote
from domain.leg import Leg
from domain.money import Money, zero
from domain.payment import Payment, PaymentStatus, disputable
from domain.payment_messages import (
    AuthorizePayment,
    CancelPayment,
    CapturePayment,
    ExpirePayment,
    FailPayment,
    HoldPaymentForReview,
    InitiatePayment,
    OpenDispute,
    PassFraudCheck,
    PaymentPartiallyCaptured,
    PaymentProcessed,
    PaymentRefunded,
    PaymentTerms,
    RefundPayment,
    ResolveDispute,
)
from domain.review import SCREENING, ApproveReview, RejectReview
from domain.screening import COUNTRY, ScreeningLimits, screen
from domain.streams import account_stream, payment_stream


def open_payment(
    leg: Leg, terms: PaymentTerms, limits: ScreeningLimits, cancelled: CancelPayment | None = None
) -> None:
    """Initiate, screen, authorise and, where that is automatic, capture; or cancel at once, where the cancel came
    before the payment did. A capture that is refused leaves the payment authorised.
    """
    payer = _party(leg, terms.from_account, terms.amount, "from_account")
    if terms.quote is None:
        must_not_need_quote(leg.account(terms.to_account), terms.amount)
    bought = terms.amount if terms.quote is None else terms.quote.buys
    payee = _party(leg, terms.to_account, bought, "to_account")
    if payee.rail is not None:
        raise InvalidInput(
            "account_external", "a payment's payee must be an account here: use a transfer", "to_account"
        )
    initiate = InitiatePayment(**dict(terms), from_user=payer.user_id, to_user=payee.user_id)
    leg.on_payment(terms.payment_id, initiate)
    stream = payment_stream(terms.payment_id)
    take_quote(leg, terms.quote, terms.amount, user_id=payer.user_id, by=stream, at=terms.at)
    if cancelled is not None:
        leg.on_payment(terms.payment_id, cancelled)
        return
    screening = screen(terms.amount, payer, terms.to_account, terms.at, limits, payee, terms.metadata.get(COUNTRY))
    if screening.held:
        review = HoldPaymentForReview(
            at=terms.at, score=screening.score, reasons=screening.reasons, rules=screening.rules
        )
        leg.on_payment(terms.payment_id, review)
        if screening.declined:
            leg.on_payment(terms.payment_id, declined(terms.at, screening.score))
        return
    leg.on_payment(terms.payment_id, PassFraudCheck(at=terms.at, score=screening.score))
    _authorize(leg, terms.payment_id, terms.at)
    if terms.capture == "automatic" and leg.payment(terms.payment_id).status is PaymentStatus.AUTHORIZED:
        with suppress(DomainError), leg.attempt():
            capture_payment(leg, terms.payment_id, CapturePayment(at=terms.at))


def declined(at: datetime, score: int) -> RejectReview:
    """What scores too high needs no person to say no."""
    return RejectReview(at=at, by=SCREENING, note=f"declined by screening: score {score}")


def _party(leg: Leg, account_id: str, amount: Money, field: str) -> Account:
    account = leg.account(account_id)
    if account.status is AccountStatus.UNOPENED:
        raise NotFound("account_not_found", f"account {account_id} does not exist", field)
    account.must_take(amount)
    return account


def _authorize(leg: Leg, payment_id: str, at: datetime) -> None:
    """Reserve at the payer, or fail the payment with the account's reason."""
    payment = leg.payment(payment_id)
    hold_id = payment_stream(payment_id)
    reserve = Reserve(
        at=at,
        hold_id=hold_id,
        amount=payment.money(payment.amount),
        counterparty=payment.to_account,
        expires_at=payment.expires_at,
    )
    try:
        leg.account(payment.to_account).must_not_be_closed()
        leg.on_account(payment.from_account, reserve)
    except Conflict as refusal:
        leg.on_payment(payment_id, FailPayment(at=at, code=refusal.code, reason=refusal.message))
    else:
        leg.on_payment(payment_id, AuthorizePayment(at=at, hold_id=hold_id))


def approve_payment(leg: Leg, payment_id: str, command: ApproveReview) -> None:
    """The reviewer lets it pass: authorise it now, on what the account has now."""
    leg.on_payment(payment_id, command)
    _authorize(leg, payment_id, command.at)


def reject_payment(leg: Leg, payment_id: str, command: RejectReview) -> None:
    leg.on_payment(payment_id, command)


def capture_payment(leg: Leg, payment_id: str, command: CapturePayment) -> None:
    """Post the hold: the payer pays, the payee gets it less the fee, the fee account gets the fee."""
    [event] = leg.on_payment(payment_id, command)
    assert isinstance(event, PaymentPartiallyCaptured | PaymentProcessed)
    payment, transaction, at = leg.payment(payment_id), payment_stream(payment_id), command.at
    debit = Debit(
        at=at,
        amount=event.amount,
        counterparty=payment.to_account,
        transaction=transaction,
        purpose="payment",
        hold_id=payment.hold_id,
    )
    leg.on_account(payment.from_account, debit)
    payer, settled = payment.from_account, event.amount if event.settled is None else event.settled
    if payment.quote is not None:
        _exchange(leg, payment, event.amount, settled, purpose="payment", at=at)
    net = settled - event.fee
    if net.minor > 0:
        credit = Credit(at=at, amount=net, counterparty=payer, transaction=transaction, purpose="payment")
        leg.on_account(payment.to_account, credit)
    if event.fee.minor > 0:
        open_system_account(leg, payment.fee_account, event.fee.currency, at)
        fee = Credit(at=at, amount=event.fee, counterparty=payer, transaction=transaction, purpose="fee")
        leg.on_account(payment.fee_account, fee)


def cancel_payment(leg: Leg, payment_id: str, command: CancelPayment) -> None:
    """Cancel, or void what is left of a partly captured payment. Voids the hold, if there is one."""
    leg.on_payment(payment_id, command)
    payment = leg.payment(payment_id)
    if payment.hold_id is not None:
        leg.on_account(payment.from_account, ReleaseHold(at=command.at, hold_id=payment.hold_id))


def expire_payment(leg: Leg, payment_id: str, command: ExpirePayment) -> None:
    leg.on_payment(payment_id, command)
    payment = leg.payment(payment_id)
    if payment.hold_id is not None:
        leg.on_account(payment.from_account, ExpireHold(at=command.at, hold_id=payment.hold_id))


def _exchange(leg: Leg, payment: Payment, sold: Money, bought: Money, *, purpose: Purpose, at: datetime) -> None:
    """Between the two parties of a quoted payment, either way."""
    parties = (payment.from_account, payment.to_account)
    giver, taker = parties if sold.currency == payment.currency else reversed(parties)
    transaction = payment_stream(payment.payment_id)
    exchange(leg, sold, bought, giver=giver, taker=taker, transaction=transaction, purpose=purpose, at=at)


def refund_payment(leg: Leg, payment_id: str, command: RefundPayment) -> None:
    """The payee gives back; it must have the money. The fee stays where it is. A quoted payment goes back at the
    rate it came at."""
    [event] = leg.on_payment(payment_id, command)
    assert isinstance(event, PaymentRefunded)
    gives = event.amount if event.returned is None else event.returned
    _give_back(leg, leg.payment(payment_id), ((gives, None),), event.amount, purpose="refund", at=command.at)


def _give_back(
    leg: Leg,
    payment: Payment,
    parts: Iterable[tuple[Money, str | None]],
    amount: Money,
    *,
    purpose: Purpose,
    at: datetime,
) -> None:
    """The payee pays `parts`, each out of a hold or its balance; the payer gets `amount` for them."""
    payer, payee, transaction = payment.from_account, payment.to_account, payment_stream(payment.payment_id)

    def credit(money: Money) -> None:
        leg.on_account(
            payer, Credit(at=at, amount=money, counterparty=payee, transaction=transaction, purpose=purpose)
        )

    gives = [(money, hold_id) for money, hold_id in parts if money.minor > 0]
    for money, hold_id in gives:
        debit = Debit(
            at=at, amount=money, counterparty=payer, transaction=transaction, purpose=purpose, hold_id=hold_id
        )
        leg.on_account(payee, debit)
        if payment.quote is None:
            credit(money)
    if payment.quote is not None:
        given = sum((money for money, _ in gives), zero(payment.payee_currency))
        _exchange(leg, payment, given, amount, purpose=purpose, at=at)
        credit(amount)


def dispute_hold(payment_id: str) -> str:
    """The hold that a dispute puts on the payee."""
    return f"dispute-{payment_id}"


def owed_by_payee(payment: Payment) -> Money:
    """What the payee would have to give for all that is not refunded yet, in its own currency."""
    return payment.returned(payment.captured) - payment.returned(payment.refunded)


def open_dispute(leg: Leg, payment_id: str, at: datetime, reason: str) -> None:
    """Reserve on the payee what can be reserved of the disputed amount."""
    payment = leg.payment(payment_id)
    disputable(payment)
    payee, amount = leg.account(payment.to_account), owed_by_payee(payment)
    able = payee.status is AccountStatus.OPEN
    held = amount.with_minor(min(amount.minor, max(payee.available, 0)) if able else 0)
    hold_id = dispute_hold(payment_id)
    leg.asked.add(account_stream(payment.to_account))  # by what it has, even where that is nothing
    leg.on_payment(payment_id, OpenDispute(at=at, reason=reason, held=held, hold_id=hold_id))
    if held.minor > 0:
        reserve = Reserve(at=at, hold_id=hold_id, amount=held, counterparty=payment.from_account)
        leg.on_account(payment.to_account, reserve)


def resolve_dispute(leg: Leg, payment_id: str, command: ResolveDispute) -> None:
    """Won: the payee's hold is voided. Lost: the payee pays back, from the hold and, for the rest, its balance."""
    payment = leg.payment(payment_id)
    payment.must_be(PaymentStatus.DISPUTED)
    dispute = payment.dispute
    assert dispute is not None
    leg.on_payment(payment_id, command)
    if command.outcome == "won":
        leg.on_account(payment.to_account, ReleaseHold(at=command.at, hold_id=dispute.hold_id))
        return
    held = Money(dispute.held, payment.payee_currency)
    parts = ((held, dispute.hold_id), (owed_by_payee(payment) - held, None))
    _give_back(leg, payment, parts, payment.money(dispute.amount), purpose="chargeback", at=command.at)
