"""Status reports: one for every pain.001, valid by the published schema, saying what became of each transfer."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from commands.batch import REFUSED, ItemOutcome
from commands.payment_status import FILE_REASONS, REASONS, refusal_report, report, status_of
from domain.money import Money
from domain.transfer import TransferStatus as S
from payfiles.errors import PaymentFileError
from payfiles.pain002 import group_status
from payfiles.read import read_payment_file
from payfiles.write import account_ref, instruct, write_pain001
from tests.fixtures.processes import ROOT

FIXTURES = ROOT / "tests" / "fixtures"
SCHEMA = etree.XMLSchema(etree.parse(FIXTURES / "schemas" / "pain.002.001.03.xsd"))
COUNTS = "{*}NbOfTxsPerSts"
CREATED = datetime(2026, 11, 24, 9, tzinfo=UTC)
STATUSES = [REFUSED, *(status.value for status in S if status is not S.NONE)]


def _file(*amounts: Money) -> bytes:
    items = [
        instruct(
            "MSG-1",
            f"INV-{number}",
            debtor=account_ref("DE89370400440532013000", "Tern", "EUR"),
            creditor=account_ref("acc-plover", "Plover", "EUR"),
            amount=amount,
            requested_on=date(2026, 11, 24),
            payment_info_id=f"PMT-{number // 2}",
        )
        for number, amount in enumerate(amounts)
    ]
    return write_pain001(items, message_id="MSG-1", created_at=CREATED, initiator="Tern")


def _valid(data: bytes) -> etree._Element:
    root = etree.fromstring(data)
    assert SCHEMA.validate(root), SCHEMA.error_log
    return root


def _texts(root: etree._Element, tag: str) -> list[str | None]:
    return [element.text for element in root.iter(f"{{*}}{tag}")]


outcomes = st.tuples(
    st.builds(Money, st.integers(1, 10**9), st.sampled_from(("EUR", "JPY", "KWD"))),
    st.sampled_from(STATUSES),
    st.none() | st.sampled_from((*REASONS, "something_else")),
    st.none() | st.text(max_size=300),
)


@given(st.lists(outcomes, min_size=1, max_size=7))
def test_every_report_fits_the_schema_and_counts_what_it_says(
    told: list[tuple[Money, str, str | None, str | None]],
) -> None:
    file = read_payment_file(_file(*(amount for amount, *_ in told)))
    settled = [
        ItemOutcome(item, status, code=code, reason=reason)
        for item, (_, status, code, reason) in zip(file.items, told, strict=True)
    ]
    root = _valid(report(file, settled))
    assert _texts(root, "OrgnlMsgId") == ["MSG-1"]
    assert _texts(root, "OrgnlMsgNmId") == ["pain.001.001.09"]
    assert _texts(root, "OrgnlEndToEndId") == [item.end_to_end_id for item in file.items]
    statuses = _texts(root, "TxSts")
    [group] = root.iter("{*}OrgnlGrpInfAndSts")
    counts = {
        x.findtext("{*}DtldSts"): int(x.findtext("{*}DtldNbOfTxs") or 0) for x in group.iter("{*}NbOfTxsPerSts")
    }
    assert counts == Counter(statuses)
    sums = [Decimal(x.text or "") for x in group.iter("{*}DtldCtrlSum")]
    assert sum(sums) == file.control_sum
    refused = statuses.count("RJCT")
    assert group.findtext("{*}GrpSts") == ("ACCP" if not refused else "RJCT" if refused == len(told) else "PART")
    reasons = [x.find("{*}StsRsnInf") is not None for x in root.iter("{*}TxInfAndSts")]
    assert reasons == [status != "ACSC" for status in statuses], "whatever is not settled has a reason"


@pytest.mark.parametrize("status", STATUSES)
def test_what_is_not_decided_is_pending(status: str) -> None:
    item = read_payment_file(_file(Money(100, "EUR"))).items[0]
    wanted = {"completed": "ACSC", REFUSED: "RJCT", "rejected": "RJCT", "compensated": "RJCT", "cancelled": "RJCT"}
    assert status_of(item, status, None, None).status == wanted.get(status, "PDNG")


def test_reasons_are_those_of_the_standard() -> None:
    item = read_payment_file(_file(Money(100, "EUR"))).items[0]
    for code, reason in REASONS.items():
        told = status_of(item, "rejected", code, "because")
        assert (told.reason, told.text) == (reason, "because")
    assert status_of(item, "rejected", "never_heard_of", None).reason == "NARR"
    assert status_of(item, "in_review", None, None).text == "in review"
    assert all(len(reason) == 4 for reason in (*REASONS.values(), *FILE_REASONS.values()))


def test_a_group_is_accepted_while_nothing_is_refused() -> None:
    item = read_payment_file(_file(Money(100, "EUR"))).items[0]

    def group(*statuses: str) -> str:
        return group_status([status_of(item, status, None, None) for status in statuses])

    assert group("completed", "completed") == "ACCP"
    assert group("completed", "in_review") == "ACCP"
    assert group("completed", "rejected") == "PART"
    assert group("in_transit", "rejected") == "PART"
    assert group("rejected", REFUSED) == "RJCT"


@pytest.mark.parametrize(
    ("old", "new", "reason", "message_id"),
    [
        ("<CtrlSum>3.00", "<CtrlSum>4.00", "AM10", "MSG-1"),
        ("<NbOfTxs>2", "<NbOfTxs>3", "AM18", "MSG-1"),
        ('Ccy="EUR">1.00', 'Ccy="EUR">1.001', "AM09", "MSG-1"),
        ('Ccy="EUR">1.00', 'Ccy="EUX">1.00', "CURR", "MSG-1"),
        ("<EndToEndId>INV-0</EndToEndId>", "", "FF01", "MSG-1"),
        ("<MsgId>MSG-1</MsgId>", "", "FF01", "NOTPROVIDED"),
        ("</Document>", "", "FF01", "NOTPROVIDED"),
        ("<Document", "<!DOCTYPE x><Document", "FF01", "NOTPROVIDED"),
        ("pain.001.001.09", "pain.001.001.01", "FF01", "NOTPROVIDED"),
    ],
)
def test_a_refused_file_is_reported_as_a_whole(old: str, new: str, reason: str, message_id: str) -> None:
    _, _, text = _file(Money(100, "EUR"), Money(200, "EUR")).decode().partition("?>\n")
    assert old in text
    data = text.replace(old, new, 1).encode()
    with pytest.raises(PaymentFileError) as refused:
        read_payment_file(data)
    root = _valid(refusal_report(data, refused.value))
    assert (_texts(root, "OrgnlMsgId"), _texts(root, "GrpSts")) == ([message_id], ["RJCT"])
    assert [x.text for x in root.iterfind(".//{*}Rsn/{*}Cd")] == [reason]
    assert _texts(root, "TxSts") == []
    assert len(_texts(root, "AddtlInf")) >= 1


@pytest.mark.parametrize("name", ["v03", "v09", "swiss"])
def test_every_version_of_pain001_gets_one(name: str) -> None:
    file = read_payment_file(FIXTURES / "payfiles" / f"{name}.xml")
    root = _valid(report(file, [ItemOutcome(item, "completed") for item in file.items]))
    assert _texts(root, "OrgnlMsgNmId") == [file.format]
    assert set(_texts(root, "TxSts")) == {"ACSC"}
