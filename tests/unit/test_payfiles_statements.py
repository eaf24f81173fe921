"""Statements as files: what is written fits the published schema and reads as it was; what is wrong is refused."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from domain.money import Money
from payfiles.camt053_write import statement_id, write_camt053
from payfiles.errors import PaymentFileError
from payfiles.model import AccountRef
from payfiles.read import read_statements
from payfiles.reconcile import reconcile
from payfiles.statement import StatementEntry, StatementFile
from payfiles.statement_csv import write_statement_csv
from tests.fixtures.processes import ROOT

SCHEMAS = ROOT / "tests" / "fixtures" / "schemas"
SHARED = Path(os.environ.get("TIDEMARK_SHARED_DATA", ROOT.parent / "shared" / "data"))
SAMPLE = SHARED / "iso20022" / "camt.053-fi-sample.xml"
START = datetime(2026, 3, 1, tzinfo=UTC)
CREATED = datetime(2026, 4, 1, 6, tzinfo=UTC)
IBAN = "DE89370400440532013000"

texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=200).map(str.strip)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,30}", fullmatch=True)


@st.composite
def statements(draw: st.DrawFn, ids: bool = True) -> StatementFile:
    currency = draw(st.sampled_from(("EUR", "JPY", "KWD")))
    opening = Money(draw(st.integers(-(10**9), 10**9)), currency)
    balance, entries = opening, []
    for number in range(draw(st.integers(0, 8))):
        amount = Money(draw(st.integers(-(10**8), 10**8).filter(bool)), currency)
        balance += amount
        entries.append(
            StatementEntry(
                amount=amount,
                booked=START + timedelta(hours=number, microseconds=draw(st.integers(0, 999_999))),
                entry_id=f"TM-{number + 1}",
                end_to_end_id=draw(names),
                balance=balance,
                kind=draw(st.sampled_from(("payment", "transfer", "deposit"))),
                category=draw(texts)[:50].strip(),
                counterparty=draw(names),
                reference=draw(texts),
                description=draw(texts),
                purpose=draw(texts),
                location=draw(texts),
                tags=tuple(draw(st.lists(names, max_size=3))),
                source=f"payment-{draw(names)}",
            )
        )
    plain = draw(st.booleans())
    account = AccountRef(IBAN if plain else None, None if plain else draw(names), draw(texts), currency)
    until = START + timedelta(days=31)
    name = statement_id(account.identifier, START, until)
    return StatementFile(name, account, currency, START, until, opening, balance, tuple(entries), "ledger")


def _schema(version: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(SCHEMAS / f"camt.053.001.{version}.xsd"))


@given(statements())
def test_camt053_fits_the_published_schema_and_reads_as_it_was(statement: StatementFile) -> None:
    data = write_camt053(statement, CREATED)
    schema = _schema("08")
    assert schema.validate(etree.fromstring(data)), schema.error_log
    [read] = read_statements(data)
    assert read.account is not None
    assert statement.account is not None
    assert read.account.identifier == statement.account.identifier
    told = ("statement_id", "currency", "since", "until", "opening", "closing", "warnings")
    assert [getattr(read, name) for name in told] == [getattr(statement, name) for name in told]
    kept = ("amount", "booked", "entry_id", "end_to_end_id", "kind", "counterparty")
    assert [[getattr(entry, name) for name in kept] for entry in read.entries] == [
        [getattr(entry, name) for name in kept] for entry in statement.entries
    ]
    assert [entry.reference for entry in read.entries] == [
        entry.reference[:140].strip() for entry in statement.entries
    ]
    assert reconcile(read, statement).agrees


@given(statements())
def test_csv_reads_as_it_was_written(statement: StatementFile) -> None:
    [read] = read_statements(write_statement_csv(statement), name="s.csv")
    assert read.entries == statement.entries
    told = ("statement_id", "currency", "since", "until", "opening", "closing", "warnings")
    assert [getattr(read, name) for name in told] == [getattr(statement, name) for name in told]


def _two() -> StatementFile:
    entries = (
        StatementEntry(Money(10_000, "EUR"), START, entry_id="TM-1", kind="deposit", reference="=SUM(A1)\nx"),
        StatementEntry(Money(-1250, "EUR"), START, entry_id="TM-2", kind="payment", end_to_end_id="coffee-1"),
    )
    account = AccountRef(None, "lena", "", "EUR")
    until = START + timedelta(days=1)
    return StatementFile("S", account, "EUR", START, until, Money(0, "EUR"), Money(8750, "EUR"), entries, "ledger")


def test_no_cell_of_a_csv_is_a_formula_and_no_letter_breaks_the_xml() -> None:
    written = write_statement_csv(_two()).decode()
    assert "'=SUM(A1)" in written
    assert ",=SUM" not in written.replace('"', "")
    [read] = read_statements(written.encode())
    assert read.entries[0].reference == "=SUM(A1)\nx"
    strange = replace(_two().entries[0], reference="bell\x07", category="\x00")
    data = write_camt053(replace(_two(), entries=(strange, _two().entries[1])), CREATED)
    assert "bell\ufffd" in data.decode()
    assert _schema("08").validate(etree.fromstring(data))


def test_a_balance_of_nothing_is_a_credit() -> None:
    opening = etree.fromstring(write_camt053(_two(), CREATED)).find(".//{*}Bal")
    assert opening is not None
    assert [opening.findtext(f"{{*}}{tag}") for tag in ("Amt", "CdtDbtInd")] == ["0.00", "CRDT"]


def test_what_camt053_has_no_room_for_is_refused() -> None:
    shares = replace(_two(), currency="AAPL")
    with pytest.raises(PaymentFileError, match="AAPL is no ISO 4217 currency"):
        write_camt053(shares, CREATED)
    with pytest.raises(PaymentFileError, match="longer than the 34 characters"):
        write_camt053(replace(_two(), account=AccountRef(None, "a" * 35, "", "EUR")), CREATED)


@pytest.mark.skipif(not SAMPLE.exists(), reason="the banks' samples are not here; see TIDEMARK_SHARED_DATA")
def test_a_banks_own_sample_is_read_whole() -> None:
    assert _schema("02").validate(etree.parse(SAMPLE))
    [read] = read_statements(SAMPLE)
    assert read.account is not None
    assert (read.account.iban, read.format, len(read.entries)) == ("FI7433010001222090", "camt.053.001.02", 10)
    assert (read.opening, read.closing) == (Money(1_000_000, "EUR"), Money(2_364_483, "EUR"))
    assert sum(entry.amount.minor for entry in read.entries) == 1_364_483
    assert read.warnings == ()
    assert read.entries[8].end_to_end_id == "EndToEndIdSCT01"
    assert read.since == datetime.fromisoformat("2009-10-29T02:00:00+02:00")
    less = reconcile(read, replace(read, entries=read.entries[:4] + read.entries[5:]))
    assert [entry.entry_id for entry in less.missing_in_ledger] == ["091029ACCTSTMTARCH21"]
    assert len(less.matched) == 9


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("<Document", '<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]><Document', "unsafe_xml"),
        ("camt.053.001.08", "camt.053.001.99", "unsupported_message"),
        ("camt.053.001.08", "camt.054.001.08", "unsupported_message"),
        ("<CdtDbtInd>DBIT</CdtDbtInd>", "<CdtDbtInd>DOWN</CdtDbtInd>", "invalid_direction"),
        ("<CdtDbtInd>DBIT</CdtDbtInd>", "", "missing_element"),
        ('<Amt Ccy="EUR">12.50<', '<Amt Ccy="EUR">12.505<', "wrong_decimals"),
        ('<Amt Ccy="EUR">12.50<', '<Amt Ccy="USD">12.50<', "currency_mismatch"),
        ('<Amt Ccy="EUR">12.50<', '<Amt Ccy="EUR">NaN<', "invalid_amount"),
        ("<DtTm>2026-03-01T00:00:00Z", "<DtTm>yesterday", "invalid_date"),
        ("<Othr>", "<IBAN>DE89370400440532013000</IBAN><Othr>", "missing_element"),
    ],
)
def test_a_wrong_camt053_is_refused_with_its_place(old: str, new: str, code: str) -> None:
    xml = write_camt053(_two(), CREATED).decode().replace("<?xml version='1.0' encoding='UTF-8'?>\n", "")
    assert old in xml
    with pytest.raises(PaymentFileError, match=r"bank\.xml") as refused:
        read_statements(xml.replace(old, new).encode(), name="bank.xml")
    assert refused.value.code == code


def test_entries_that_are_not_booked_are_left_out_and_wrong_sums_are_warned_of() -> None:
    xml = write_camt053(_two(), CREATED).decode()
    [read] = read_statements(xml.replace("<Cd>BOOK</Cd>", "<Cd>PDNG</Cd>", 1).encode())
    assert [warning.code for warning in read.warnings] == ["not_booked", "does_not_add_up"]
    assert [entry.entry_id for entry in read.entries] == ["TM-2"]
    [read] = read_statements(
        write_statement_csv(_two()).replace(b"closing_balance=87.50", b"closing_balance=87.51")
    )
    assert [warning.code for warning in read.warnings] == ["does_not_add_up"]


@pytest.mark.parametrize(
    ("csv", "code"),
    [
        ("amount\n1", "missing_column"),
        ("booked_at,amount,amount\n2026-03-01,1,1", "missing_column"),
        ("booked_at,amount\n2026-03-01,1", "missing_field"),
        ("booked_at,amount,currency\nsoon,1,EUR", "invalid_date"),
        ("booked_at,amount,currency\n2026-03-01,--1,EUR", "invalid_amount"),
        ("booked_at,amount,currency\n2026-03-01,1e3,EUR", "invalid_amount"),
        ("booked_at,amount,currency\n2026-03-01,1.5,JPY", "wrong_decimals"),
        ("booked_at,amount,currency\n2026-03-01,1,EUR\n2026-03-01,1,USD", "currency_mismatch"),
        ("booked_at,amount,currency\n2026-03-01,1", "bad_line"),
        ('booked_at,amount,currency\n"2026-03-01,1,EUR', "bad_line"),
        ("# acount=lena\nbooked_at,amount,currency\n2026-03-01,1,EUR", "unknown_fact"),
    ],
)
def test_a_wrong_csv_is_refused(csv: str, code: str) -> None:
    with pytest.raises(PaymentFileError) as refused:
        read_statements(csv.encode())
    assert refused.value.code == code


def test_a_banks_own_csv_needs_little() -> None:
    text = "Booked_At;Text;Amount\n\n2026-03-01;rent;-10\n2026-03-02T09:00:00+02:00;wages;20.5\n"
    [read] = read_statements(text.encode("utf-8-sig"), currency="EUR")
    assert [entry.amount.amount for entry in read.entries] == ["-10.00", "20.50"]
    assert read.period == (START, START + timedelta(days=2))
    assert read.account is None


@given(statements(), st.randoms())
def test_reconciliation_finds_just_what_was_done_to_a_statement(
    ours: StatementFile, chance: random.Random
) -> None:
    """Some entries dropped, some with another amount, some new, all in another order, and each is found."""
    theirs, lost, changed = [], [], []
    for entry in ours.entries:
        fate = chance.choice(("kept", "kept", "lost", "changed"))
        if fate == "kept":
            theirs.append(entry)
        elif fate == "lost":
            lost.append(entry.entry_id)
        else:
            changed.append(entry.entry_id)
            more = Money(10**9 + len(theirs), ours.currency)
            theirs.append(replace(entry, amount=entry.amount + more, end_to_end_id="", reference=""))
    new = StatementEntry(Money(7 * 10**9, ours.currency), START + timedelta(hours=2), entry_id="NEW-1")
    theirs.append(new)
    chance.shuffle(theirs)
    found = reconcile(replace(ours, entries=tuple(theirs), closing=None), ours)
    assert sorted(pair.theirs.entry_id for pair in found.differing) == sorted(changed)
    assert sorted(entry.entry_id for entry in found.missing_in_statement) == sorted(lost)
    assert found.missing_in_ledger == (new,)
    assert len(found.matched) == len(ours.entries) - len(lost) - len(changed)
    assert all(pair.theirs == pair.ours for pair in found.matched)


def test_without_a_common_name_amount_and_day_decide() -> None:
    def entry(amount: int, day: int, name: str = "") -> StatementEntry:
        return StatementEntry(Money(amount, "EUR"), (START + timedelta(days=day)).date(), entry_id=name)

    def file(*entries: StatementEntry) -> StatementFile:
        return replace(_two(), entries=entries, opening=None, closing=None)

    bank = file(entry(-100, 0, "B1"), entry(-100, 0, "B2"), entry(-100, 1, "B3"), entry(-300, 0, "B4"))
    book = file(entry(-100, 0, "TM-1"), entry(-100, 2, "TM-2"), entry(100, 0, "TM-3"))
    found = reconcile(bank, book)
    assert [(pair.theirs.entry_id, pair.ours.entry_id, pair.by) for pair in found.matched] == [
        ("B1", "TM-1", "amount_and_day")
    ]
    assert [x.entry_id for x in found.missing_in_ledger] == ["B2", "B3", "B4"]
    assert [x.entry_id for x in found.missing_in_statement] == ["TM-2", "TM-3"]
    later = reconcile(bank, book, days=1)
    assert [(pair.theirs.entry_id, pair.ours.entry_id) for pair in later.matched] == [
        ("B1", "TM-1"),
        ("B3", "TM-2"),
    ]
    assert not later.agrees
    empty = replace(_two(), entries=())
    assert not reconcile(replace(empty, closing=Money(1, "EUR")), empty).agrees
    assert reconcile(empty, empty).agrees
