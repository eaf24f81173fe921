"""What is written is read back the same, and fits the published schema where that is at hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from domain.money import Money
from payfiles.errors import PaymentFileError
from payfiles.iban import doubt
from payfiles.ids import with_transfer_ids
from payfiles.model import AccountRef, CreditTransfer
from payfiles.read import read_payment_file
from payfiles.write import account_ref, instruct, write_pain001

CREATED = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)

_letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-/.+ éßø&<>\"'"
_ids = st.text(_letters, min_size=1, max_size=35).map(str.strip).filter(bool)
_texts = st.text(_letters, max_size=140).map(str.strip)
_currencies = st.sampled_from(["EUR", "JPY", "KWD", "CHF", "CLF"])
_bics = st.sampled_from(["", "TIDEDEFFXXX", "TIDECHZZ"])


@st.composite
def _ibans(draw: st.DrawFn) -> str:
    account = draw(st.text("0123456789", min_size=18, max_size=18))
    check = 98 - int(f"{account}131400") % 97  # DE is 1314
    return f"DE{check:02d}{account}"


@st.composite
def _accounts(draw: st.DrawFn, currency: str) -> AccountRef:
    name = draw(_texts)
    if draw(st.booleans()):
        return AccountRef(draw(_ibans()), None, name, currency)
    return AccountRef(None, draw(_ids)[:34].strip(), name, currency)


@st.composite
def _groups(draw: st.DrawFn, message_id: str, payment_info_id: str) -> list[CreditTransfer]:
    debtor = draw(_accounts(""))
    debtor_agent = draw(_bics)
    requested_on = draw(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
    items = []
    for _ in range(draw(st.integers(1, 4))):
        currency = draw(_currencies)
        extras = {
            "debtor_agent": debtor_agent,
            "creditor_agent": draw(_bics),
            "charge_bearer": draw(st.sampled_from(["", "SLEV", "SHAR"])),
            "currency_of_transfer": draw(st.sampled_from(["", "USD"])),
        }
        items.append(
            CreditTransfer(
                transfer_id="",
                message_id=message_id,
                payment_info_id=payment_info_id,
                instruction_id=draw(st.one_of(st.just(""), _ids)),
                end_to_end_id=draw(_ids),
                debtor=replace(debtor, currency=currency),
                creditor=draw(_accounts(currency)),
                amount=Money(draw(st.integers(1, 10**12)), currency),
                reference=draw(_texts),
                purpose=draw(st.sampled_from(["", "SALA", "own purpose"])),
                requested_on=requested_on,
                metadata={key: text for key, text in extras.items() if text},
            )
        )
    return items


@st.composite
def _files(draw: st.DrawFn) -> tuple[str, tuple[CreditTransfer, ...]]:
    message_id = draw(_ids)
    groups = [draw(_groups(message_id, f"PMT-{number}")) for number in range(draw(st.integers(1, 3)))]
    return message_id, with_transfer_ids([item for group in groups for item in group])


@given(_files())
def test_what_is_written_is_read_back(file: tuple[str, tuple[CreditTransfer, ...]]) -> None:
    message_id, items = file
    data = write_pain001(items, message_id=message_id, created_at=CREATED, initiator="Tern Trading")

    again = read_payment_file(data)
    assert again.items == items
    assert (again.format, again.message_id, again.created_at) == ("pain.001.001.09", message_id, CREATED)
    assert again.control_sum == sum((Decimal(item.amount.amount) for item in items), Decimal(0))
    assert all(doubt(account.iban) is None for item in items for account in (item.debtor,) if account.iban)


def _transfer(**changes: object) -> CreditTransfer:
    item = instruct(
        "MSG-1",
        "INV-7",
        debtor=account_ref("DE27 7004 0041 0012 3456 78", "Tern Trading", "EUR"),
        creditor=account_ref("acc-plover", "Plover Works", "EUR"),
        amount=Money(1250, "EUR"),
        reference="Invoice 7",
        requested_on=date(2026, 11, 24),
    )
    return replace(item, **changes)  # type: ignore[arg-type]


def _write(*items: CreditTransfer) -> bytes:
    return write_pain001(items, message_id="MSG-1", created_at=CREATED, initiator="Tern Trading")


def test_an_instruction_already_has_the_id_it_will_be_read_with() -> None:
    item = _transfer()
    assert read_payment_file(_write(item)).items == (item,)


def test_counts_and_sums_stand_at_both_levels() -> None:
    other = _transfer(payment_info_id="PMT-2", end_to_end_id="INV-8", amount=Money(700, "EUR"))
    root = etree.fromstring(_write(_transfer(), other))
    assert [element.text for element in root.iter("{*}NbOfTxs")] == ["2", "1", "1"]
    assert [element.text for element in root.iter("{*}CtrlSum")] == ["19.50", "12.50", "7.00"]


def test_the_time_is_written_in_utc() -> None:
    local = CREATED.astimezone(timezone(timedelta(hours=9)))
    data = write_pain001([_transfer()], message_id="MSG-1", created_at=local, initiator="Tern Trading")
    assert b"<CreDtTm>2026-11-24T09:30:00Z</CreDtTm>" in data


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"end_to_end_id": "x" * 36}, "end-to-end id is longer than the 35 characters"),
        ({"end_to_end_id": ""}, "end-to-end id is empty"),
        ({"reference": " x"}, "reference has white space around it"),
        ({"reference": "x" * 141}, "reference is longer than the 140 characters"),
        ({"reference": "a\x00b"}, "has a character that XML cannot hold"),
        ({"purpose": "x" * 36}, "purpose is longer"),
        ({"creditor": AccountRef(None, "x" * 35, "", "EUR")}, "account id is longer than the 34 characters"),
        ({"requested_on": None}, "need a requested date"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(PaymentFileError, match=said) as caught:
        _write(_transfer(**changes))
    assert caught.value.code == "cannot_write"


def test_groups_are_whole_and_have_one_debtor() -> None:
    first = _transfer()
    other = replace(first.debtor, name="Somebody else")
    with pytest.raises(PaymentFileError, match="differ in debtor or requested date"):
        _write(first, _transfer(debtor=other))
    with pytest.raises(PaymentFileError, match="must stand next to each other"):
        _write(first, _transfer(payment_info_id="PMT-2"), first)
    with pytest.raises(PaymentFileError, match="there are no transfers to write"):
        _write()


def _schema(version: str) -> etree.XMLSchema:
    spec = find_spec("sepaxml")
    assert spec is not None
    assert spec.origin is not None
    return etree.XMLSchema(etree.parse(Path(spec.origin).parent / "schemas" / f"pain.001.001.{version}.xsd"))


@pytest.mark.skipif(
    find_spec("sepaxml") is None, reason="the published schemas come with sepaxml, a dev dependency"
)
@given(_files())
def test_what_is_written_fits_the_published_schema(file: tuple[str, tuple[CreditTransfer, ...]]) -> None:
    message_id, items = file
    data = write_pain001(items, message_id=message_id, created_at=CREATED, initiator="Tern Trading")
    schema = _schema("09")
    assert schema.validate(etree.fromstring(data)), schema.error_log
