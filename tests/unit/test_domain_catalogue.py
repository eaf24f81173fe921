"""Stored events stay readable: a copy of every event type's JSON, and what happens when its shape changes."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from domain import catalogue
from domain.account_messages import AccountFrozen, AccountOpened, FundsDeposited
from domain.catalogue import EVENTS, EVOLVE, INITIAL, STATE_VERSION, UPCASTERS, UnknownEvent, decode, encode
from domain.leg import AnyEvent
from domain.money import MAX_BALANCE, Money
from domain.streams import (
    ACCOUNT,
    BATCH,
    BOOK,
    FRAUD_CASE,
    ORDER,
    PAYMENT,
    QUOTE,
    STANDING_ORDER,
    TRADE,
    TRANSFER,
    account_stream,
    category_of,
    id_of,
    payment_stream,
)
from tests.fixtures.event_samples import FOLDER, SAMPLES, file_of
from tests.unit.given import eur

ALL = [(category, sample) for category, samples in SAMPLES.items() for sample in samples]
NAMES = [f"{category}-{type(sample).__name__}" for category, sample in ALL]
HOW = "after adding a sample or raising schema_version, run: python -m tests.fixtures.event_samples"


def read(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


def test_every_event_type_has_one_sample() -> None:
    for category, types in EVENTS.items():
        sampled = [type(sample).__name__ for sample in SAMPLES[category]]
        assert sorted(sampled) == sorted(types), HOW


def test_every_version_of_every_event_type_has_its_stored_json() -> None:
    wanted = {
        file_of(category, type_, version)
        for category, types in EVENTS.items()
        for type_, cls in types.items()
        for version in range(1, cls.schema_version + 1)
    }
    assert set(FOLDER.glob("*.json")) == wanted, HOW


@pytest.mark.parametrize(("category", "sample"), ALL, ids=NAMES)
def test_a_sample_leaves_no_field_out(category: str, sample: AnyEvent) -> None:
    unset = [name for name in type(sample).model_fields if getattr(sample, name) in (None, (), {})]
    assert not unset, f"{category}: a sample without {unset} would not show that their shape changed"


@pytest.mark.parametrize(("category", "sample"), ALL, ids=NAMES)
def test_today_s_json_is_what_is_stored(category: str, sample: AnyEvent) -> None:
    type_, schema_version, data = encode(sample)
    assert data == read(file_of(category, type_, schema_version)), (
        f"the JSON of {type_} changed: raise its schema_version, write an upcaster, keep the old file. Then {HOW}"
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_stored_json_of_any_version_is_read(path: Path) -> None:
    category, type_, version = path.stem.split("-")
    event = decode(f"{category}-1", type_, int(version), read(path))
    assert type(event) is EVENTS[category][type_]
    if int(version) == event.schema_version:
        assert event in SAMPLES[category]


@pytest.mark.parametrize(("category", "sample"), ALL, ids=NAMES)
def test_optional_fields_may_be_missing_in_the_log(category: str, sample: AnyEvent) -> None:
    type_, schema_version, data = encode(sample)
    needed = {name: data[name] for name, field in type(sample).model_fields.items() if field.is_required()}
    bare = decode(f"{category}-1", type_, schema_version, needed)
    assert encode(decode(f"{category}-1", *encode(bare))) == encode(bare)


# --- schema versions ------------------------------------------------------------


@pytest.fixture
def version_3(monkeypatch: pytest.MonkeyPatch) -> None:
    """AccountFrozen as it would be after two changes: `why` became `cause`, `cause` became `reason`."""
    monkeypatch.setattr(AccountFrozen, "schema_version", 3)
    monkeypatch.setitem(UPCASTERS, (ACCOUNT, "AccountFrozen", 1), lambda data: {"cause": data["why"].strip()})
    monkeypatch.setitem(UPCASTERS, (ACCOUNT, "AccountFrozen", 2), lambda data: {"reason": data["cause"].lower()})


@pytest.mark.usefixtures("version_3")
def test_upcasters_are_applied_one_after_another() -> None:
    stored = {"why": " OPS "}
    assert decode("account-a", "AccountFrozen", 1, stored) == AccountFrozen(reason="ops")
    assert decode("account-a", "AccountFrozen", 2, {"cause": "OPS"}) == AccountFrozen(reason="ops")
    assert decode("account-a", "AccountFrozen", 3, {"reason": "OPS"}) == AccountFrozen(reason="OPS")
    assert stored == {"why": " OPS "}, "stored JSON is never changed"
    assert encode(AccountFrozen(reason="ops")) == ("AccountFrozen", 3, {"reason": "ops"})


@pytest.mark.usefixtures("version_3")
def test_a_gap_between_versions_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(UPCASTERS, (ACCOUNT, "AccountFrozen", 2))
    with pytest.raises(UnknownEvent, match="account-a: no reader for AccountFrozen version 2"):
        decode("account-a", "AccountFrozen", 1, {"why": "ops"})


@pytest.mark.parametrize(
    ("stream", "type_", "version"),
    [
        ("account-a", "AccountFrozen", 2),
        ("account-a", "AccountFrozen", 0),
        ("account-a", "PaymentInitiated", 1),
        ("payment-p", "AccountFrozen", 1),
        ("account-a", "AccountMelted", 1),
        ("order-o", "AccountFrozen", 1),
    ],
)
def test_what_this_code_does_not_know_is_an_error(stream: str, type_: str, version: int) -> None:
    with pytest.raises(UnknownEvent) as refusal:
        decode(stream, type_, version, {})
    assert refusal.value.code == "unknown_event"


def test_every_upcaster_leads_to_a_known_version() -> None:
    for category, type_, version in UPCASTERS:
        assert 1 <= version < EVENTS[category][type_].schema_version


@pytest.mark.parametrize("data", [{"why": "ops"}, {"reason": 7}, {"reason": "x" * 501}])
def test_damaged_json_is_an_error(data: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        decode("account-a", "AccountFrozen", 1, data)


def test_any_balance_an_account_can_have_is_read_back() -> None:
    for minor in (-MAX_BALANCE, MAX_BALANCE):
        rich = FundsDeposited(amount=eur("1.00"), balance=Money(minor, "EUR"), held=eur("0.00"))
        assert decode("account-a", *encode(rich)) == rich


# --- the tables ------------------------------------------------------------


def test_every_category_is_in_every_table() -> None:
    for table in (EVENTS, INITIAL, EVOLVE, STATE_VERSION):
        assert list(table) == [
            ACCOUNT,
            PAYMENT,
            TRANSFER,
            FRAUD_CASE,
            BATCH,
            ORDER,
            BOOK,
            TRADE,
            QUOTE,
            STANDING_ORDER,
        ]
    opened = next(sample for sample in SAMPLES[ACCOUNT] if isinstance(sample, AccountOpened))
    assert catalogue.EVOLVE[ACCOUNT](INITIAL[ACCOUNT](), opened) != INITIAL[ACCOUNT]()


def test_a_stream_is_a_category_and_an_id() -> None:
    assert account_stream("a-1") == "account-a-1"
    assert (category_of("account-a-1"), id_of("account-a-1")) == (ACCOUNT, "a-1")
    assert (category_of(payment_stream("p")), id_of(payment_stream("p"))) == (PAYMENT, "p")


# The fields of each state at its present version: a snapshot with others must not be loaded.
STATE_FIELDS = {
    (STANDING_ORDER, 1): (
        "standing_order_id status user_id instruction timetable missed_runs next_at made failed missed skipped"
    ),
    (QUOTE, 1): "status sells promise user_id used_by",
    (ACCOUNT, 2): (
        "account_id user_id currency status rail balance held overdraft_limit holds recent_holds "
        "payees country limits"
    ),
    (PAYMENT, 3): (
        "payment_id status from_account from_user to_account fee_account currency amount captured fee refunded "
        "fee_rate expires_at hold_id failure_code failure_reason dispute suspicion quote"
    ),
    (TRANSFER, 3): (
        "transfer_id status location from_account from_user to_account currency amount rail quote hold_id "
        "reserved_until failure_code failure_reason suspicion"
    ),
    (FRAUD_CASE, 1): "case_id status source subject account_id user_id risk_score assignee decide_by frozen",
    (ORDER, 1): (
        "order_id user_id status cash_account share_account symbol currency side tif price quantity filled busted "
        "cancelled value hold_id amendments expires_at unsettled ended refused failure_code failure_reason"
    ),
    (BOOK, 1): "symbol name currency tick lot status bids asks trades last_price",
    (TRADE, 1): "status",
    (BATCH, 1): (
        "batch_id user_id status items content_hash chunk atomic settled released undone completed rejected "
        "started stuck failure_code failure_reason"
    ),
}


@pytest.mark.parametrize("category", INITIAL)
def test_a_state_with_other_fields_has_another_version(category: str) -> None:
    names = " ".join(field.name for field in fields(INITIAL[category]()))
    assert names == STATE_FIELDS.get((category, STATE_VERSION[category])), (
        "raise STATE_VERSION, then write it here"
    )
