"""The steps of a fraud case. Each is one append over the case's stream and what it is about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from temporalio import activity

from activities.fraud_steps import (
    AssignWish,
    CaseOrder,
    CaseStep,
    DecideWish,
    EscalateWish,
    FreezeWish,
    NoteWish,
    SettleWish,
)
from activities.ledger import Ledger, LedgerCommand, utc_now
from activities.refusals import refusals
from activities.steps import Wish
from domain.fraud_case_messages import AddNote, AssignCase, DecideCase, EscalateCase
from domain.fraud_legs import (
    CaseTerms,
    decide_case,
    freeze_account,
    open_case,
    settle_with_subject,
    subject_in_review,
)
from domain.leg import Leg
from domain.streams import account_stream, fraud_case_stream
from settings import Settings


class FraudActivities:
    """Bound to a process's ledger and settings in worker.py."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings

    @activity.defn
    async def open_case(self, order: CaseOrder) -> CaseStep:
        """Open it; where its subject is decided already, close it in the same append."""
        now = utc_now()
        within_s = order.decide_within_s or self._settings.fraud_decide_within_s
        terms = CaseTerms(
            at=now,
            case_id=order.case_id,
            source=order.source,
            subject=order.subject,
            account_id=order.account_id,
            risk_score=order.risk_score,
            reason=order.reason,
            by=order.actor,
            decide_by=now + timedelta(seconds=within_s),
        )
        about = order.subject if order.subject is not None else account_stream(str(order.account_id))
        return await self._run("open", order.case_id, "open", order, lambda leg: open_case(leg, terms), about)

    @activity.defn
    async def assign_case(self, case: CaseStep, wish: AssignWish) -> CaseStep:
        """Somebody takes it on."""
        command = AssignCase(at=utc_now(), analyst=wish.analyst, by=wish.actor)
        return await self._step("assign", case, wish, lambda leg: leg.on_fraud_case(case.case_id, command))

    @activity.defn
    async def note_case(self, case: CaseStep, wish: NoteWish) -> CaseStep:
        """What somebody found out."""
        command = AddNote(at=utc_now(), note=wish.note, by=wish.actor)
        return await self._step("note", case, wish, lambda leg: leg.on_fraud_case(case.case_id, command))

    @activity.defn
    async def escalate_case(self, case: CaseStep, wish: EscalateWish) -> CaseStep:
        """To whoever stands above, by hand or because nobody decided it in time."""
        command = EscalateCase(at=utc_now(), reason=wish.reason, by=wish.actor)
        return await self._step("escalate", case, wish, lambda leg: leg.on_fraud_case(case.case_id, command))

    @activity.defn
    async def decide_case(self, case: CaseStep, wish: DecideWish) -> CaseStep:
        """The decision; where a review has brought it already, nothing more."""
        command = DecideCase(at=utc_now(), approve=wish.approve, by=wish.actor, note=wish.note)
        return await self._step("decide", case, wish, lambda leg: decide_case(leg, case.case_id, command))

    @activity.defn
    async def freeze_account(self, case: CaseStep, wish: FreezeWish) -> CaseStep:
        """Freeze the account of the case."""
        at, account = utc_now(), account_stream(case.account_id)
        return await self._step(
            "freeze", case, wish, lambda leg: freeze_account(leg, case.case_id, at, wish.actor), account
        )

    @activity.defn
    async def settle_case(self, case: CaseStep, wish: SettleWish) -> CaseStep:
        """Close it where its subject has ended without a decision here."""
        at = utc_now()
        return await self._step("settle", case, wish, lambda leg: settle_with_subject(leg, case.case_id, at))

    async def _step(
        self, name: str, case: CaseStep, wish: Wish, act: Callable[[Leg], object], *more: str
    ) -> CaseStep:
        about = [] if case.subject is None else [case.subject]
        return await self._run(name, case.case_id, f"{name}:{wish.wish_id}", wish, act, *about, *more)

    async def _run(
        self,
        name: str,
        case_id: str,
        key: str,
        content: CaseOrder | Wish,
        act: Callable[[Leg], object],
        *about: str,
    ) -> CaseStep:
        stream = fraud_case_stream(case_id)

        def result(leg: Leg) -> CaseStep:
            return CaseStep.of(leg.fraud_case(case_id), case_id, subject_in_review(leg, case_id))

        with refusals():
            return await self._ledger.run(
                LedgerCommand(
                    name=f"fraud_case.{name}",
                    key=f"{stream}:{key}",
                    content=content,
                    streams=[stream, *about],
                    act=act,
                    result=result,
                    returns=CaseStep,
                    actor=content.actor,
                    trace=content.trace,
                    repeat_shows_now=True,
                )
            )
