"""A standing order: which run comes next, what becomes of it, and that none is made twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain import account_messages as am
from domain import standing_order as so
from domain.errors import DomainError
from domain.leg import Leg
from domain.money import Money
from domain.screening import ScreeningLimits
from domain.standing_order import StandingOrder, transfer_id_of
from domain.standing_order_legs import create_standing_order, run_standing_order
from domain.standing_order_messages import (
    AmendStandingOrder,
    CancelStandingOrder,
    CreateStandingOrder,
    Instruction,
    PauseStandingOrder,
    RecordFailedRun,
    RecordMissedRun,
    RecordRun,
    ResumeStandingOrder,
    RunFailed,
    RunMade,
    RunMissed,
    RunSkipped,
    SkipRun,
    StandingOrderAmended,
    StandingOrderCancelled,
    StandingOrderCreated,
    StandingOrderEnded,
    StandingOrderPaused,
    StandingOrderResumed,
    StandingOrderTerms,
)
from domain.streams import account_stream, standing_order_stream, transfer_stream
from domain.timetable import Timetable
from domain.transfer import Transfer, TransferStatus
from tests.unit.given import AT, Given, account, eur

DAY = timedelta(days=1)
FIRST = AT + DAY
TABLE = Timetable(frequency="daily", first_at=FIRST, time_zone="UTC", end_at=FIRST + 2 * DAY)
INSTRUCTION = Instruction(from_account="a", to_account="b", amount=eur("10.00"), reference="rent")
CREATE = CreateStandingOrder(
    at=AT, standing_order_id="o", user_id="u", instruction=INSTRUCTION, timetable=TABLE, missed_runs="skip"
)
MADE = RecordRun(at=FIRST, run_at=FIRST, transfer_id="o-1")


def order(*past: Any) -> Given[StandingOrder]:
    return Given(so.initial(), so.decide, so.evolve).past(CREATE, *past)


def test_its_life() -> None:
    nothing = Given(so.initial(), so.decide, so.evolve)
    state = nothing.when(CREATE).then(
        StandingOrderCreated(
            standing_order_id="o",
            user_id="u",
            instruction=INSTRUCTION,
            timetable=TABLE,
            missed_runs="skip",
            next_at=FIRST,
        )
    )
    assert (state.status, state.next_at) == ("active", FIRST)
    order().when(MADE).then(RunMade(run_at=FIRST, transfer_id="o-1", next_at=FIRST + DAY))
    order().when(SkipRun(at=AT)).then(RunSkipped(run_at=FIRST, next_at=FIRST + DAY))
    order().when(PauseStandingOrder(at=AT)).then(StandingOrderPaused())
    order().when(CancelStandingOrder(at=AT, reason="enough")).then(StandingOrderCancelled(reason="enough"))
    order().when(RecordFailedRun(at=FIRST, run_at=FIRST, transfer_id=None, code="c", reason="r")).then(
        RunFailed(run_at=FIRST, code="c", reason="r", next_at=FIRST + DAY)
    )
    order().when(RecordMissedRun(at=FIRST + timedelta(hours=1), run_at=FIRST)).then(
        RunMissed(run_at=FIRST, late_s=3600, next_at=FIRST + DAY)
    )


def test_with_its_last_run_it_ends() -> None:
    rest = order(SkipRun(at=AT), SkipRun(at=AT))
    last = FIRST + 2 * DAY
    ended = rest.when(RecordRun(at=last, run_at=last, transfer_id="o-3")).then(
        RunMade(run_at=last, transfer_id="o-3"), StandingOrderEnded()
    )
    assert (ended.status, ended.next_at, ended.made, ended.skipped) == ("ended", None, 1, 2)
    rest.when(SkipRun(at=AT)).then(RunSkipped(run_at=last), StandingOrderEnded())


def test_what_came_due_in_a_pause_is_passed_over() -> None:
    paused = order(PauseStandingOrder(at=AT))
    assert paused.state.runs_next(FIRST + DAY) is None
    paused.when(ResumeStandingOrder(at=FIRST - DAY / 2)).then(StandingOrderResumed(next_at=FIRST))
    paused.when(ResumeStandingOrder(at=FIRST)).then(StandingOrderResumed(next_at=FIRST + DAY))
    paused.when(ResumeStandingOrder(at=FIRST + 9 * DAY)).then(StandingOrderResumed(), StandingOrderEnded())


def test_an_amendment_holds_for_the_runs_to_come_and_leaves_out_what_it_does_not_say() -> None:
    dearer = (
        order(MADE)
        .when(AmendStandingOrder(at=FIRST, amount=eur("11.00"), purpose="RENT"))
        .then(
            StandingOrderAmended(
                amount=eur("11.00"), reference="rent", purpose="RENT", end_at=TABLE.end_at, next_at=FIRST + DAY
            )
        )
    )
    assert dearer.instruction == INSTRUCTION.model_copy(update={"amount": eur("11.00"), "purpose": "RENT"})
    assert (dearer.timetable, dearer.next_at, dearer.made) == (TABLE, FIRST + DAY, 1)
    order(PauseStandingOrder(at=AT)).when(AmendStandingOrder(at=AT, reference="r")).then(
        StandingOrderAmended(amount=eur("10.00"), reference="r", end_at=TABLE.end_at, next_at=FIRST)
    )
    leg = leg_of(replace(dearer, next_at=FIRST + DAY))
    make_run(leg, FIRST + DAY)
    assert leg.account("a").held == 11_00


def test_another_end_lets_it_run_longer_or_ends_it() -> None:
    longer = (
        order()
        .when(AmendStandingOrder(at=AT, end_at=FIRST + 9 * DAY))
        .then(StandingOrderAmended(amount=eur("10.00"), reference="rent", end_at=FIRST + 9 * DAY, next_at=FIRST))
    )
    assert longer.run_after(FIRST + 8 * DAY) == FIRST + 9 * DAY
    after = FIRST + DAY / 2
    order(MADE).when(AmendStandingOrder(at=FIRST, end_at=after)).then(
        StandingOrderAmended(amount=eur("10.00"), reference="rent", end_at=after), StandingOrderEnded()
    )


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({}, "nothing_to_amend", "amount"),
        ({"amount": eur("0.00")}, "amount_not_positive", "amount"),
        ({"amount": Money(100, "USD")}, "currency_mismatch", "currency"),
        ({"end_at": FIRST}, "invalid_end_at", "end_at"),
        ({"at": FIRST + 2 * DAY, "end_at": FIRST + DAY}, "invalid_end_at", "end_at"),
    ],
)
def test_what_cannot_be_amended(change: dict[str, Any], code: str, field: str) -> None:
    order().when(AmendStandingOrder(**{"at": AT, **change})).fails_with(code, field=field)


def test_what_runs_once_has_no_end_to_amend_and_what_is_over_cannot_be_amended() -> None:
    once = CREATE.model_copy(update={"timetable": TABLE.model_copy(update={"frequency": "once", "end_at": None})})
    created = Given(so.initial(), so.decide, so.evolve).past(once)
    created.when(AmendStandingOrder(at=AT, end_at=FIRST + DAY)).fails_with("invalid_end_at", field="end_at")
    amend = AmendStandingOrder(at=AT, reference="r")
    order(CancelStandingOrder(at=AT)).when(amend).fails_with("wrong_standing_order_status")
    Given(so.initial(), so.decide, so.evolve).when(amend).fails_with("standing_order_not_found")


@pytest.mark.parametrize("past", [PauseStandingOrder(at=AT), CancelStandingOrder(at=AT)])
def test_who_is_paused_or_over_makes_no_run(past: Any) -> None:
    order(past).when(MADE).fails_with("wrong_standing_order_status", "not in active status")
    order(past).when(PauseStandingOrder(at=AT)).fails_with("wrong_standing_order_status")


def test_what_is_refused() -> None:
    order().when(CREATE).fails_with("standing_order_exists")
    order().when(ResumeStandingOrder(at=AT)).fails_with("wrong_standing_order_status", "paused")
    order().when(SkipRun(at=AT, run_at=FIRST + DAY)).fails_with("not_the_next_run", field="run_at")
    order(MADE).when(MADE).fails_with("not_the_next_run")
    order(CancelStandingOrder(at=AT)).when(SkipRun(at=AT)).fails_with("wrong_standing_order_status")
    nothing = Given(so.initial(), so.decide, so.evolve)
    nothing.when(SkipRun(at=AT)).fails_with("standing_order_not_found")
    past = CREATE.model_copy(update={"at": FIRST + DAY})
    nothing.when(past).fails_with("first_at_past", field="first_at")


# --- a run and its transfer ------------------------------------------------------------

OPENED = [
    am.AccountOpened(account_id=name, user_id=f"u-{name}", currency="EUR", overdraft_limit=eur("0.00"))
    for name in ("a", "b")
]
SOMEBODY_S = Transfer(transfer_id="x", status=TransferStatus.RESERVED, from_account="c", currency="EUR", amount=1)
"""It has taken a run's id."""


def leg_of(state: StandingOrder, balance: str = "15.00", *more: am.AccountCommand) -> Leg:
    deposit = am.Deposit(at=AT, amount=eur(balance))
    return Leg(
        {
            standing_order_stream("o"): state,
            account_stream("a"): account(OPENED[0], deposit, *more).state,
            account_stream("b"): account(OPENED[1]).state,
            **{transfer_stream(transfer_id_of("o", FIRST + n * DAY)): Transfer() for n in range(3)},
        }
    )


def make_run(leg: Leg, run_at: datetime = FIRST, late: timedelta = timedelta()) -> list[str]:
    """The types of its events by now."""
    limits, grace = ScreeningLimits(), timedelta(minutes=5)
    run_standing_order(leg, "o", run_at, run_at + late, grace, run_at + DAY, limits)
    return [type(event).__name__ for events in leg.events.values() for event in events]


def test_a_run_opens_its_transfer_in_its_own_append() -> None:
    leg = leg_of(order().state)
    assert make_run(leg) == ["TransferInitiated", "SourceReserved", "FundsReserved", "RunMade"]
    assert leg.account("a").held == 10_00
    opened = leg.transfer(transfer_id_of("o", FIRST))
    assert (opened.money, opened.to_account) == (eur("10.00"), "b")
    again = Leg(leg.states)
    assert make_run(again) == [], "the same waking, twice: nothing moves again"
    assert standing_order_stream("o") in again.asked


def test_a_transfer_that_is_refused_is_a_run_that_failed() -> None:
    leg = leg_of(order().state, "9.99")
    assert make_run(leg) == ["TransferInitiated", "TransferRejected", "RunFailed"]
    assert leg.standing_order("o").failed == 1
    taken = {transfer_stream(transfer_id_of("o", FIRST)): SOMEBODY_S}
    squatted = Leg({**leg_of(order().state).states, **taken})
    assert make_run(squatted) == ["RunFailed"]
    [failed] = squatted.events[standing_order_stream("o")]
    assert isinstance(failed, RunFailed)
    assert (failed.code, failed.transfer_id) == ("transfer_exists", None)


def test_a_late_run_is_missed_or_caught_up_with() -> None:
    late = timedelta(minutes=5, seconds=1)
    assert make_run(leg_of(order().state), late=late) == ["RunMissed"]
    catching = replace(order().state, missed_runs="catch_up")
    assert make_run(leg_of(catching), late=late)[-1] == "RunMade"
    assert make_run(leg_of(order().state), late=timedelta(minutes=5))[-1] == "RunMade"


@pytest.mark.parametrize("past", [PauseStandingOrder(at=AT), CancelStandingOrder(at=AT), SkipRun(at=AT)])
def test_a_waking_that_comes_too_late_changes_nothing(past: Any) -> None:
    assert make_run(leg_of(order(past).state)) == []


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"to_account": "a"}, "same_account", "to_account"),
        ({"to_account": "nobody"}, "account_not_found", "to_account"),
        ({"amount": eur("0.00")}, "amount_not_positive", "amount"),
    ],
)
def test_what_could_never_run_is_not_created(change: dict[str, Any], code: str, field: str) -> None:
    instruction = INSTRUCTION.model_copy(update=change)
    terms = StandingOrderTerms(
        at=AT, standing_order_id="o", instruction=instruction, timetable=TABLE, missed_runs="skip"
    )
    states = dict(leg_of(so.initial()).states) | {account_stream("nobody"): account().state}
    with pytest.raises(DomainError) as refusal:
        create_standing_order(Leg(states), terms)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    leg = Leg(states)
    create_standing_order(leg, terms.model_copy(update={"instruction": INSTRUCTION}))
    assert leg.standing_order("o").user_id == "u-a", "it belongs to the source's user"
