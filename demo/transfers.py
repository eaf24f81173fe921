"""How each kind of transfer is played. Each function returns the status in which its transfer ended."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from activities.ledger import utc_now
from activities.standing_order_steps import SkipRunWish, StandingOrderRequest
from activities.steps import CancelWish, ResolveWish, ReviewWish, TransferOrder, TransferStep
from demo.acts import ACTOR, QUOTE_S, Act, Stage
from demo.cast import RAIL, currency_of
from domain.errors import Conflict
from domain.quote_messages import Quote
from domain.standing_order import transfer_id_of
from domain.standing_order_messages import Instruction
from domain.timetable import Timetable
from domain.transfer import Location, TransferStatus

FIRST_RUN_S = 2
"""So far ahead are the first runs of what a schedule makes."""
SHORT_S = (3, 12, 48)
"""Quotes that are to expire, in seconds."""


def _order(act: Act, quote: Quote | None = None) -> TransferOrder:
    return TransferOrder(
        transfer_id=act.subject_id,
        from_account=act.source,
        to_account=act.target,
        amount=act.amount,
        quote=quote,
        reference=act.title,
        category=act.category,
        actor=ACTOR,
    )


async def plain(stage: Stage, act: Act) -> str:
    """Whatever comes of it: completed, rejected or compensated."""
    return (await stage.transfers.transfer(_order(act))).status


async def twice(stage: Stage, act: Act) -> str:
    """The same transfer again, as an impatient client would."""
    await stage.transfers.transfer(_order(act))
    return (await stage.transfers.transfer(_order(act))).status


async def exchanged(stage: Stage, act: Act) -> str:
    """Euros leave, the currency of the target arrives, at a quoted rate."""
    quote = await stage.quote(act, currency_of(act.target))
    return (await stage.transfers.transfer(_order(act, quote))).status


async def quote_expired(stage: Stage, act: Act) -> str:
    """Held for review for longer than the rate was promised: approved, reserved, and released again."""
    until = await _held_with_quote(stage, act)
    await asyncio.sleep(max((until - utc_now()).total_seconds(), 0))
    wish = ReviewWish(wish_id=f"{act.subject_id}-review", approve=True, note="too late", actor=ACTOR)
    await stage.transfers.review(act.subject_id, wish)
    return (await stage.transfer_end(act.subject_id)).status


async def _held_with_quote(stage: Stage, act: Act) -> datetime:
    """A machine so busy that a quote is over before its transfer has begun gets a longer one."""
    for valid_for_s in (*SHORT_S, QUOTE_S):
        quote = await stage.quote(act, currency_of(act.target), valid_for_s)
        assert quote is not None
        try:
            _must_be_held(await stage.transfers.transfer(_order(act, quote)))
        except Conflict as refusal:
            if refusal.code != "quote_expired":
                raise
        else:
            return quote.expires_at
    raise RuntimeError("no quote was long enough")


async def scheduled(stage: Stage, act: Act) -> str:
    """Asked for now, made in two seconds by a schedule."""
    return await _by_timetable(stage, act, every_s=None)


async def standing(stage: Stage, act: Act) -> str:
    """Two runs, the first of which is skipped."""
    wish = SkipRunWish(wish_id=f"{act.subject_id}-skip", reason="paid by hand", actor=ACTOR)
    return await _by_timetable(stage, act, every_s=1, skip=wish)


async def _by_timetable(stage: Stage, act: Act, every_s: int | None, skip: SkipRunWish | None = None) -> str:
    """How the transfer of its last run ended."""
    first_at = (utc_now() + timedelta(seconds=FIRST_RUN_S + 1)).replace(microsecond=0)
    last_at = first_at + timedelta(seconds=every_s or 0)
    table = Timetable(
        frequency="interval" if every_s else "once",
        first_at=first_at,
        time_zone="UTC",
        every_s=every_s,
        end_at=last_at if every_s else None,
    )
    order = _order(act)
    terms = {name: getattr(order, name) for name in Instruction.model_fields}
    request = StandingOrderRequest(
        standing_order_id=act.subject_id, instruction=Instruction(**terms), timetable=table, actor=ACTOR
    )
    await stage.standing_orders.create(request)
    if skip is not None:
        await stage.standing_orders.skip(act.subject_id, skip)
    transfer_id = transfer_id_of(act.subject_id, last_at)
    await stage.transfer_begins(transfer_id)
    return (await stage.transfer_end(transfer_id)).status


async def approved(stage: Stage, act: Act) -> str:
    """The review's answer comes before the legs: the end is what counts."""
    await _reviewed(stage, act, approve=True)
    return (await stage.transfer_end(act.subject_id)).status


async def rejected(stage: Stage, act: Act) -> str:
    await _reviewed(stage, act, approve=False)
    return (await stage.transfer_end(act.subject_id)).status


async def cancelled(stage: Stage, act: Act) -> str:
    """By signal, while it waits for its review."""
    await _held(stage, act)
    wish = CancelWish(wish_id=f"{act.subject_id}-cancel", reason="no longer needed", actor=ACTOR)
    await stage.transfers.signal_cancel(act.subject_id, wish)
    return (await stage.transfer_end(act.subject_id)).status


async def by_rail(stage: Stage, act: Act) -> str:
    """To another bank, which accepts, refuses, or keeps silent at first and is asked again."""
    await _open_at_other_bank(stage, act)
    await stage.transfers.start(_order(act))
    return (await stage.transfer_end(act.subject_id)).status


async def stuck(stage: Stage, act: Act) -> str:
    """The other bank keeps silent, meanwhile the source closes, then the bank refuses: there is no way back."""
    assert stage.bank is not None
    await _open_at_other_bank(stage, act)
    await stage.accounts.open(act.source, ACTOR, act.amount.currency)
    await stage.accounts.deposit(act.source, act.amount, f"{act.subject_id}-opening", "opening deposit")
    await stage.transfers.start(_order(act))
    await stage.transfer_reaches(act.subject_id, TransferStatus.IN_TRANSIT)
    await stage.accounts.close(act.source, f"{act.subject_id}-close", "moved to another bank")
    stage.bank.say_no(act.target)
    await stage.transfer_reaches(act.subject_id, TransferStatus.STUCK)
    step = await stage.transfers.resting(act.subject_id)
    return step.status if step.location is Location.SUSPENSE else f"{step.status}, money {step.location}"


async def stuck_and_returned(stage: Stage, act: Act) -> str:
    """As `stuck`, and an operator sends the money to another account of the same person."""
    await stuck(stage, act)
    wish = ResolveWish(
        wish_id=f"{act.subject_id}-resolve",
        action="return",
        to_account=stage.cast.person("lena", act.amount.currency),
        note="their other account, confirmed by phone",
        actor=ACTOR,
    )
    return (await stage.transfers.resolve(act.subject_id, wish)).status


async def _open_at_other_bank(stage: Stage, act: Act) -> None:
    await stage.accounts.open(act.target, "other-bank", act.amount.currency, rail=RAIL)


async def _held(stage: Stage, act: Act) -> None:
    _must_be_held(await stage.transfers.transfer(_order(act)))


def _must_be_held(step: TransferStep) -> None:
    if step.status is not TransferStatus.IN_REVIEW:
        raise RuntimeError(f"is {step.status} on the way, not in review")


async def _reviewed(stage: Stage, act: Act, approve: bool) -> None:
    await _held(stage, act)
    wish = ReviewWish(wish_id=f"{act.subject_id}-review", approve=approve, note="looked into", actor=ACTOR)
    await stage.transfers.review(act.subject_id, wish)
