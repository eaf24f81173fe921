"""pain.001: what is read, and what refuses the whole file."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from domain.money import Money
from payfiles import pain001
from payfiles.errors import PaymentFileError
from payfiles.model import PaymentFile
from payfiles.read import read_payment_file
from payfiles.totals import CountPolicy

FIXTURES = Path(__file__).parents[1] / "fixtures" / "payfiles"


def changed(fixture: str, *changes: tuple[str, str]) -> bytes:
    """The fixture with each first occurrence replaced; the text to replace must be there."""
    text = (FIXTURES / fixture).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text.encode()


def read(fixture: str, *changes: tuple[str, str], count_policy: CountPolicy = "strict") -> PaymentFile:
    return read_payment_file(changed(fixture, *changes), name=fixture, count_policy=count_policy)


def refusal(fixture: str, *changes: tuple[str, str], count_policy: CountPolicy = "strict") -> PaymentFileError:
    with pytest.raises(PaymentFileError) as caught:
        read(fixture, *changes, count_policy=count_policy)
    return caught.value


def test_version_03_is_read_with_all_that_moves_money() -> None:
    file = read("v03.xml")

    assert (file.format, file.message_id, file.count) == ("pain.001.001.03", "MSG/2026/03", 3)
    assert file.created_at == datetime(2026, 11, 20, 16, 5, tzinfo=UTC)
    assert file.control_sum == Decimal("500112.50")
    first, second, third = file.items
    assert first.amount == Money(50_000_000, "EUR")
    assert first.debtor.identifier == "DE27700400410012345678"
    assert first.debtor.name == "Tern Trading"
    assert first.creditor.identifier == "NL38TIDE0417164300"
    assert (first.payment_info_id, first.instruction_id, first.end_to_end_id) == ("PAY-A", "I-1", "E2E-1")
    assert first.reference == "Engine and gearbox"
    assert first.requested_on == date(2026, 11, 23)
    assert first.metadata == {"service_level": "SEPA", "charge_bearer": "SLEV", "debtor_agent": "TIDEDEFFXXX"}
    assert second.amount == Money(1250, "EUR")
    assert second.metadata["charge_bearer"] == "SHAR", "what a transfer says goes before what its PmtInf says"
    assert third.amount == Money(100, "JPY")
    assert (third.debtor.iban, third.debtor.other) == (None, "TERN-0001")
    assert third.creditor.currency == "JPY"
    assert (third.purpose, third.reference, third.instruction_id) == ("GDDS", "B-77", "")
    assert file.warnings == ()


def test_version_09_has_its_own_date_choice_and_bank_codes() -> None:
    file = read("v09.xml")

    assert file.format == "pain.001.001.09"
    assert file.created_at == datetime.fromisoformat("2026-11-20T15:05:00.250+00:00")
    assert [item.requested_on for item in file.items] == [date(2026, 11, 23), date(2026, 11, 24)]
    assert file.items[0].amount == Money(1234, "KWD")
    assert file.items[0].metadata == {
        "creditor_agent": "TIDEKWKW",
        "debtor_agent": "TIDEDEFFXXX",
        "uetr": "5b2b1a3c-7d44-4d39-9f0f-2a1d7a3c9e10",
    }
    assert file.control_sum == Decimal("8.234"), "added up even where the header states none"


def test_the_swiss_variant_with_an_equivalent_amount() -> None:
    file = read("swiss.xml")

    assert file.format == "pain.001.001.03.ch.02"
    assert file.control_sum == Decimal("30.05")
    structured, equivalent = file.items
    assert structured.reference == "RF18539007547034"
    assert equivalent.amount == Money(2000, "CHF"), "taken in the currency it is stated in"
    assert equivalent.creditor.currency == "CHF"
    assert equivalent.metadata["currency_of_transfer"] == "EUR"
    (warning,) = file.warnings
    assert warning.code == "no_exchange"
    assert "(E2E-2)" in warning.location
    assert read("swiss.xml", ("<CcyOfTrf>EUR<", "<CcyOfTrf>CHF<")).warnings == ()


def test_an_encoding_other_than_utf_8_and_a_byte_order_mark() -> None:
    expected = read("swiss.xml").items
    text = (FIXTURES / "swiss.xml").read_text(encoding="utf-8")
    latin = text.replace('encoding="UTF-8"', 'encoding="ISO-8859-1"').encode("latin-1")
    wide = text.replace('encoding="UTF-8"', 'encoding="UTF-16"').encode("utf-16")
    assert read_payment_file(latin).items == expected
    assert read_payment_file(wide).items == expected
    big_endian = text.replace('encoding="UTF-8"', 'encoding="UTF-16"').encode("utf-16-be")
    assert read_payment_file(b"\xfe\xff" + big_endian).items == expected
    assert read_payment_file(b"\xef\xbb\xbf" + text.encode()).items == expected


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (
            ("<CtrlSum>500112.5<", "<CtrlSum>500112.51<"),
            "control_sum_mismatch",
            ":4 GrpHdr: CtrlSum says 500112.51",
        ),
        (("<CtrlSum>500012.50<", "<CtrlSum>500012.49<"), "control_sum_mismatch", "PmtInf[1]: CtrlSum says"),
        (("<NbOfTxs>3<", "<NbOfTxs>4<"), "count_mismatch", "NbOfTxs says 4 but there are 3 transfers"),
        (("<NbOfTxs>2<", "<NbOfTxs>1<"), "count_mismatch", "PmtInf[1]: NbOfTxs says 1 but there are 2"),
        (("<NbOfTxs>3</NbOfTxs>", ""), "missing_element", "GrpHdr: NbOfTxs is missing"),
        (("<NbOfTxs>3<", "<NbOfTxs>three<"), "invalid_count", "'three' is not a whole number"),
        (("<CtrlSum>500112.5<", "<CtrlSum>NaN<"), "invalid_amount", "CtrlSum 'NaN' is not a plain number"),
        (("<MsgId>MSG/2026/03</MsgId>", ""), "missing_element", "MsgId is missing"),
        (("<EndToEndId>E2E-2<", "<EndToEndId> <"), "missing_element", "PmtId/EndToEndId is missing or empty"),
        ((">12.5<", ">12.345<"), "wrong_decimals", "(E2E-2): amount 12.345 has too many decimals: EUR has 2"),
        (('Ccy="JPY">100<', 'Ccy="JPY">1.5<'), "wrong_decimals", "JPY has 0"),
        ((">12.5<", ">-12.5<"), "invalid_amount", "'-12.5' is not a plain number"),
        ((">12.5<", ">1e3<"), "invalid_amount", "'1e3' is not a plain number"),
        ((">12.5<", ">12<x/>.5<"), "unexpected_element", "InstdAmt may hold text only"),
        ((">12.5<", ">0.00<"), "amount_not_positive", "amount must be positive"),
        (('Ccy="JPY"', 'Ccy="XYZ"'), "unknown_currency", "unknown currency 'XYZ'"),
        (('Ccy="JPY"', 'ccy="JPY"'), "unknown_currency", "unknown currency ''"),
        (("<Othr><Id>0042</Id></Othr>", ""), "missing_account", "CdtrAcct has no IBAN and no Othr/Id"),
        (("<Othr><Id>0042<", "<IBAN>X</IBAN><Othr><Id>0042<"), "repeated_element", "both an IBAN and another id"),
        (("NL38TIDE0417164300", "38TIDE"), "invalid_iban", "CdtrAcct: '38TIDE' is no IBAN"),
        (("<PmtMtd>TRF<", "<PmtMtd>CHK<"), "unsupported_method", "PmtInf[1]: PmtMtd CHK is no credit transfer"),
        (("<ReqdExctnDt>2026-11-23", "<ReqdExctnDt>23.11.2026"), "invalid_date", "ReqdExctnDt '23.11.2026'"),
        (("<CreDtTm>2026-11-20T", "<CreDtTm>today "), "invalid_date", "CreDtTm 'today 16:05:00'"),
        (
            ('<InstdAmt Ccy="JPY">100</InstdAmt>', '<InstdAmt Ccy="JPY">100</InstdAmt>' * 2),
            "repeated_element",
            "Amt/InstdAmt stands 2 times",
        ),
        (('<InstdAmt Ccy="JPY">100</InstdAmt>', ""), "missing_element", "no InstdAmt and no EqvtAmt/Amt"),
        (("</Document>", ""), "not_well_formed", "not well-formed XML"),
        (("pain.001.001.03", "pain.001.001.02"), "unsupported_message", "pain.001.001.02"),
        (("pain.001.001.03", "pain.008.001.02"), "unsupported_message", "expected <Document> of one of these"),
        (
            (' xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.03"', ""),
            "unsupported_message",
            "found <Document>,",
        ),
    ],
)
def test_one_wrong_thing_refuses_the_whole_file(change: tuple[str, str], code: str, said: str) -> None:
    error = refusal("v03.xml", change)
    assert error.code == code
    assert said in str(error)
    assert str(error).startswith("v03.xml")


def test_another_message_in_a_known_namespace_is_named() -> None:
    data = changed("v03.xml").replace(b"CstmrCdtTrfInitn", b"CstmrDrctDbtInitn")
    with pytest.raises(PaymentFileError, match="<Document> holds CstmrDrctDbtInitn, expected CstmrCdtTrfInitn"):
        read_payment_file(data)


def test_a_header_of_one_level_and_body_of_the_other_are_both_checked() -> None:
    """Sums that cancel out over two groups still refuse the file."""
    error = refusal("v03.xml", (">12.5<", ">2.5<"), ('Ccy="JPY">100<', 'Ccy="JPY">110<'))
    assert [problem.code for problem in error.problems] == ["control_sum_mismatch"]
    assert "PmtInf[1]" in error.location


def test_all_wrong_transfers_are_named_at_once() -> None:
    error = refusal("v03.xml", (">500000<", ">x<"), (">12.5<", ">y<"), ("<Othr><Id>0042</Id></Othr>", ""))
    assert [problem.code for problem in error.problems] == ["invalid_amount", "invalid_amount", "missing_account"]
    assert all(identity in str(error) for identity in ("E2E-1", "E2E-2", "E2E-3"))


def test_a_wrong_count_passes_only_where_asked_for_and_the_sum_beside_it_is_right() -> None:
    wrong_count = ("<NbOfTxs>3<", "<NbOfTxs>7<")
    trusted = read("v03.xml", wrong_count, count_policy="trust_sum")
    assert trusted.count == 3
    assert [warning.code for warning in trusted.warnings] == ["count_mismatch"]

    no_sum = refusal("v03.xml", wrong_count, ("<CtrlSum>500112.5</CtrlSum>", ""), count_policy="trust_sum")
    assert no_sum.code == "count_mismatch"
    wrong_sum = refusal("v03.xml", wrong_count, ("<CtrlSum>500112.5<", "<CtrlSum>1<"), count_policy="trust_sum")
    assert {problem.code for problem in wrong_sum.problems} == {"count_mismatch", "control_sum_mismatch"}


def test_wrong_check_digits_and_lengths_of_an_iban_are_warnings_said_once() -> None:
    data = changed("v03.xml").replace(b"NL38TIDE0417164300", b"NL39TIDE0417164300").replace(b"345678<", b"34567<")
    data = data.replace(b"3456 78<", b"3456 7<")
    warnings = read_payment_file(data).warnings
    assert [warning.code for warning in warnings] == ["doubtful_iban", "doubtful_iban"]
    assert "debtor's IBAN DE2770040041001234567 has 21 characters, those of DE have 22" in warnings[0].message
    assert "creditor's IBAN NL39TIDE0417164300 has wrong check digits" in warnings[1].message


def test_an_account_said_to_be_in_another_currency_is_a_warning() -> None:
    warnings = read("v03.xml", ("78</IBAN></Id>", "78</IBAN></Id><Ccy>USD</Ccy>")).warnings
    assert [warning.code for warning in warnings] == ["account_currency"]


def test_a_file_without_transfers_is_refused() -> None:
    text = changed("swiss.xml").decode()
    start, end = text.index("<CdtTrfTxInf>"), text.rindex("</CdtTrfTxInf>") + len("</CdtTrfTxInf>")
    empty = (text[:start] + text[end:]).replace("<NbOfTxs>2<", "<NbOfTxs>0<").replace(">30.05<", ">0<")
    with pytest.raises(PaymentFileError) as caught:
        read_payment_file(empty.encode())
    assert caught.value.code == "no_items"


def test_too_many_transfers_are_refused_before_any_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pain001, "MAX_ITEMS", 2)
    assert refusal("v03.xml").code == "too_many_items"


def test_control_sums_are_exact_where_floats_are_not() -> None:
    item = changed("swiss.xml").decode()
    start, end = item.index("<CdtTrfTxInf>"), item.index("</CdtTrfTxInf>") + len("</CdtTrfTxInf>")
    rest = item.index("</PmtInf>")
    many = "".join(
        item[start:end].replace("10.05", "0.10").replace("E2E-1", f"E2E-{number}") for number in range(1000)
    )
    text = (item[:start] + many + item[rest:]).replace("<NbOfTxs>2<", "<NbOfTxs>1000<").replace(">30.05<", ">100<")
    assert read_payment_file(text.encode()).control_sum == Decimal(100)
