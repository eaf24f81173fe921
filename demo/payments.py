"""How each kind of payment is played. Each function returns the status in which its payment ended."""

from __future__ import annotations

from activities.fraud_steps import AssignWish, DecideWish, NoteWish
from activities.steps import (
    CancelWish,
    CaptureWish,
    DisputeDecision,
    DisputeWish,
    PaymentOrder,
    RefundWish,
    ReviewWish,
)
from demo.acts import ACTOR, Act, Stage
from demo.cast import currency_of
from domain.money import Money
from domain.payment import PaymentStatus
from domain.quote_messages import Quote
from domain.streams import payment_stream

HALF = 2


def _order(
    act: Act, capture: str = "automatic", expires_in_s: int | None = None, quote: Quote | None = None
) -> PaymentOrder:
    return PaymentOrder.model_validate(
        {
            "payment_id": act.subject_id,
            "from_account": act.source,
            "to_account": act.target,
            "amount": act.amount,
            "capture": capture,
            "quote": quote,
            "expires_in_s": expires_in_s,
            "description": act.title,
            "category": act.category,
            "tags": ("demo",),
            "metadata": {"location": "Hamburg"},
            "actor": ACTOR,
        }
    )


def half(amount: Money) -> Money:
    """Half of it, at least one minor unit."""
    return amount.with_minor(max(amount.minor // HALF, 1))


async def automatic(stage: Stage, act: Act) -> str:
    return (await stage.payments.pay(_order(act))).status


async def twice(stage: Stage, act: Act) -> str:
    """The same payment again, as an impatient client would: it must be the same answer."""
    first = await stage.payments.pay(_order(act))
    second = await stage.payments.pay(_order(act))
    return second.status if second == first else f"{first.status} and then {second.status}"


async def exchanged(stage: Stage, act: Act) -> str:
    """The payer pays in one currency, the shop is paid in another."""
    quote = await stage.quote(act, currency_of(act.target))
    return (await stage.payments.pay(_order(act, quote=quote))).status


async def exchanged_in_parts(stage: Stage, act: Act) -> str:
    """Two captures at one locked rate: together they settle what was promised, to the cent."""
    quote = await stage.quote(act, currency_of(act.target))
    assert quote is not None
    _must_be((await stage.payments.pay(_order(act, "manual", quote=quote))).status, PaymentStatus.AUTHORIZED)
    part = CaptureWish(wish_id=f"{act.subject_id}-part", amount=half(act.amount), actor=ACTOR)
    await stage.payments.capture(act.subject_id, part)
    step = await stage.payments.capture(act.subject_id, CaptureWish(wish_id=f"{act.subject_id}-rest", actor=ACTOR))
    return step.status if step.settled == quote.buys else f"{step.status}, {step.settled} of {quote.buys} settled"


async def exchanged_and_refunded(stage: Stage, act: Act) -> str:
    """Back at the rate it came at."""
    await exchanged(stage, act)
    wish = RefundWish(wish_id=f"{act.subject_id}-refund", reason="sent back", actor=ACTOR)
    return (await stage.payments.refund(act.subject_id, wish)).status


async def captured(stage: Stage, act: Act) -> str:
    await _authorized(stage, act)
    wish = CaptureWish(wish_id=f"{act.subject_id}-all", actor=ACTOR)
    return (await stage.payments.capture(act.subject_id, wish)).status


async def captured_in_part(stage: Stage, act: Act) -> str:
    """Half of it is captured, the rest voided."""
    await _authorized(stage, act)
    part = CaptureWish(wish_id=f"{act.subject_id}-part", amount=half(act.amount), actor=ACTOR)
    await stage.payments.capture(act.subject_id, part)
    void = CancelWish(wish_id=f"{act.subject_id}-void", reason="the rest is out of stock", actor=ACTOR)
    return (await stage.payments.cancel(act.subject_id, void)).status


async def cancelled_by_signal(stage: Stage, act: Act) -> str:
    await _authorized(stage, act)
    wish = CancelWish(wish_id=f"{act.subject_id}-cancel", reason="changed their mind", actor=ACTOR)
    await stage.payments.signal_cancel(act.subject_id, wish)
    return (await stage.payment_end(act.subject_id)).status


async def expired(stage: Stage, act: Act) -> str:
    """Nobody captures it in time."""
    await stage.payments.start(_order(act, "manual", expires_in_s=2))
    return (await stage.payment_end(act.subject_id)).status


async def refunded(stage: Stage, act: Act) -> str:
    await _processed(stage, act)
    wish = RefundWish(wish_id=f"{act.subject_id}-refund", reason="sent back", actor=ACTOR)
    return (await stage.payments.refund(act.subject_id, wish)).status


async def refunded_in_part(stage: Stage, act: Act) -> str:
    await _processed(stage, act)
    wish = RefundWish(
        wish_id=f"{act.subject_id}-refund", amount=half(act.amount), reason="one of two sent back", actor=ACTOR
    )
    return (await stage.payments.refund(act.subject_id, wish)).status


async def dispute_won(stage: Stage, act: Act) -> str:
    return await _disputed(stage, act, "won")


async def dispute_lost(stage: Stage, act: Act) -> str:
    return await _disputed(stage, act, "lost")


async def approved(stage: Stage, act: Act) -> str:
    """The review's answer comes before the automatic capture: the end is what counts."""
    await _reviewed(stage, act, approve=True)
    return (await stage.payment_end(act.subject_id)).status


async def rejected(stage: Stage, act: Act) -> str:
    await _reviewed(stage, act, approve=False)
    return (await stage.payment_end(act.subject_id)).status


async def cleared_by_analyst(stage: Stage, act: Act) -> str:
    await _investigated(stage, act, approve=True)
    return (await stage.payment_end(act.subject_id)).status


async def fraud_found(stage: Stage, act: Act) -> str:
    await _investigated(stage, act, approve=False)
    return (await stage.payment_end(act.subject_id)).status


async def _investigated(stage: Stage, act: Act, approve: bool) -> None:
    """Screening holds it; an analyst takes its case on, notes what was found, and decides."""
    step = await stage.payments.pay(_order(act))
    _must_be(step.status, PaymentStatus.IN_REVIEW)
    case_id, told = payment_stream(act.subject_id), {"actor": "ana"}
    await stage.case_opens(case_id)
    await stage.fraud.assign(case_id, AssignWish(wish_id=f"{act.subject_id}-assign", analyst="ana", **told))
    found = "the customer confirmed it" if approve else "the card was stolen"
    await stage.fraud.note(case_id, NoteWish(wish_id=f"{act.subject_id}-note", note=found, **told))
    decision = DecideWish(wish_id=f"{act.subject_id}-decide", approve=approve, note=found, **told)
    await stage.fraud.decide(case_id, decision)


async def _disputed(stage: Stage, act: Act, outcome: str) -> str:
    await _processed(stage, act)
    dispute = DisputeWish(wish_id=f"{act.subject_id}-dispute", reason="never arrived", actor=ACTOR)
    await stage.payments.dispute(act.subject_id, dispute)
    decision = DisputeDecision.model_validate(
        {"wish_id": f"{act.subject_id}-decision", "outcome": outcome, "actor": ACTOR}
    )
    return (await stage.payments.resolve_dispute(act.subject_id, decision)).status


async def _reviewed(stage: Stage, act: Act, approve: bool) -> None:
    step = await stage.payments.pay(_order(act))
    _must_be(step.status, PaymentStatus.IN_REVIEW)
    wish = ReviewWish(wish_id=f"{act.subject_id}-review", approve=approve, note="looked into", actor=ACTOR)
    await stage.payments.review(act.subject_id, wish)


async def _authorized(stage: Stage, act: Act) -> None:
    step = await stage.payments.pay(_order(act, "manual"))
    _must_be(step.status, PaymentStatus.AUTHORIZED)


async def _processed(stage: Stage, act: Act) -> None:
    step = await stage.payments.pay(_order(act))
    _must_be(step.status, PaymentStatus.PROCESSED)


def _must_be(status: PaymentStatus, wanted: PaymentStatus) -> None:
    if status is not wanted:
        raise RuntimeError(f"is {status} on the way, not {wanted}")
