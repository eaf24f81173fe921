"""What each step of a payment does to the payment and to the accounts at once. One function, one append."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from domain.account import Account, AccountStatus
from domain.account_messages import Credit, Debit, ExpireHold, OpenAccount, ReleaseHold, Reserve
from domain.errors import Conflict, DomainError, InvalidInput, NotFound
from domain.leg import Leg
from domain.money import Money
from domain.payment import PaymentStatus, disputable
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

SYSTEM_USER = "tidemark"
"""Whose the fee and exchange accounts are."""


def open_payment(
    leg: Leg, terms: PaymentTerms, limits: ScreeningLimits, cancelled: CancelPayment | None = None
) -> None:
    """Initiate, screen, authorise and, where that is automatic, capture; or cancel at once, where the cancel came
    before the payment did. A capture that is refused leaves the payment authorised.
    """
    payer = _party(leg, terms.from_account, terms.amount, "from_account")
    payee = _party(leg, terms.to_account, terms.amount, "to_account")
    if payee.rail is not None:
        raise InvalidInput(
            "account_external", "a payment's payee must be an account here: use a transfer", "to_account"
        )
    initiate = InitiatePayment(**dict(terms), from_user=payer.user_id, to_user=payee.user_id)
    leg.on_payment(terms.payment_id, initiate)
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
    net, payer = event.amount - event.fee, payment.from_account
    if net.minor > 0:
        credit = Credit(at=at, amount=net, counterparty=payer, transaction=transaction, purpose="payment")
        leg.on_account(payment.to_account, credit)
    if event.fee.minor > 0:
        open_system_account(leg, payment.fee_account, event.fee.currency, at)
        fee = Credit(at=at, amount=event.fee, counterparty=payer, transaction=transaction, purpose="fee")
        leg.on_account(payment.fee_account, fee)


def open_system_account(leg: Leg, account_id: str, currency: str, at: datetime) -> None:
    """The platform's own accounts open with their first posting."""
    if leg.account(account_id).status is AccountStatus.UNOPENED:
        leg.on_account(
            account_id, OpenAccount(at=at, account_id=account_id, user_id=SYSTEM_USER, currency=currency)
        )


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


def refund_payment(leg: Leg, payment_id: str, command: RefundPayment) -> None:
    """The payee gives back; it must have the money. The fee stays where it is."""
    [event] = leg.on_payment(payment_id, command)
    assert isinstance(event, PaymentRefunded)
    payment, transaction = leg.payment(payment_id), payment_stream(payment_id)
    debit = Debit(
        at=command.at,
        amount=event.amount,
        counterparty=payment.from_account,
        transaction=transaction,
        purpose="refund",
    )
    _move(leg, debit, payment.to_account)


def _move(leg: Leg, debit: Debit, from_account: str) -> None:
    """`debit` at one account and its counter-entry at the other."""
    leg.on_account(from_account, debit)
    credit = Credit(
        at=debit.at,
        amount=debit.amount,
        counterparty=from_account,
        transaction=debit.transaction,
        purpose=debit.purpose,
    )
    leg.on_account(debit.counterparty, credit)


def dispute_hold(payment_id: str) -> str:
    """The hold that a dispute puts on the payee."""
    return f"dispute-{payment_id}"


def open_dispute(leg: Leg, payment_id: str, at: datetime, reason: str) -> None:
    """Reserve on the payee what can be reserved of the disputed amount."""
    payment = leg.payment(payment_id)
    amount, payee = disputable(payment), leg.account(payment.to_account)
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
    for minor, hold_id in ((dispute.held, dispute.hold_id), (dispute.amount - dispute.held, None)):
        if minor > 0:
            debit = Debit(
                at=command.at,
                amount=payment.money(minor),
                counterparty=payment.from_account,
                transaction=payment_stream(payment_id),
                purpose="chargeback",
                hold_id=hold_id,
            )
            _move(leg, debit, payment.to_account)
