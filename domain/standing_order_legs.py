"""What a run of a standing order does, in one append: the run is recorded and its transfer opened, or neither.

The run's transfer then goes its own way, as one that was asked for does.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.errors import DomainError
from domain.leg import Leg
from domain.screening import ScreeningLimits
from domain.standing_order import transfer_id_of
from domain.standing_order_messages import (
    CreateStandingOrder,
    RecordFailedRun,
    RecordMissedRun,
    RecordRun,
    StandingOrderTerms,
)
from domain.streams import standing_order_stream
from domain.transfer import TransferStatus, must_move
from domain.transfer_legs import open_transfer, parties
from domain.transfer_messages import TransferTerms


def create_standing_order(leg: Leg, terms: StandingOrderTerms) -> None:
    """Refused where its transfer would not be possible at all. It belongs to the source's user."""
    instruction = terms.instruction
    must_move(instruction.amount, instruction.from_account, instruction.to_account)
    source, destination = parties(leg, instruction.from_account, instruction.to_account, instruction.amount)
    source.must_not_be_closed()
    destination.must_not_be_closed()
    create = CreateStandingOrder(**dict(terms), user_id=source.user_id)
    leg.on_standing_order(terms.standing_order_id, create)


def run_standing_order(  # noqa: PLR0917 – what a run depends on
    leg: Leg,
    standing_order_id: str,
    run_at: datetime,
    at: datetime,
    grace: timedelta,
    reserved_until: datetime,
    limits: ScreeningLimits,
) -> None:
    """Makes the run at `run_at`, if it is the one that is due. `grace`: what is later than that was missed."""
    order = leg.standing_order(standing_order_id)
    if order.runs_next(max(run_at, at)) != run_at:
        leg.asked.add(standing_order_stream(standing_order_id))
        return  # somebody else has made it, or it is paused, skipped or cancelled by now
    if order.missed_runs == "skip" and at - run_at > grace:
        leg.on_standing_order(standing_order_id, RecordMissedRun(at=at, run_at=run_at))
        return
    assert order.instruction is not None
    transfer_id = transfer_id_of(standing_order_id, run_at)
    terms = TransferTerms(at=at, transfer_id=transfer_id, **dict(order.instruction))
    code = reason = None
    opened = None
    try:
        with leg.attempt():
            open_transfer(leg, terms, reserved_until, limits)
            opened = leg.transfer(transfer_id)
    except DomainError as refusal:
        code, reason = refusal.code, refusal.message
    if opened is not None and opened.status is TransferStatus.REJECTED:
        code, reason = opened.failure_code, opened.failure_reason
    if code is None:
        leg.on_standing_order(standing_order_id, RecordRun(at=at, run_at=run_at, transfer_id=transfer_id))
        return
    assert reason is not None
    failed = RecordFailedRun(
        at=at, run_at=run_at, transfer_id=transfer_id if opened is not None else None, code=code, reason=reason
    )
    leg.on_standing_order(standing_order_id, failed)
