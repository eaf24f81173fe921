"""CSV payment files."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from domain.money import Money
from payfiles.errors import PaymentFileError
from payfiles.model import PaymentFile
from payfiles.read import read_payment_file

HEADER = "end_to_end_id,from,to,amount,currency,reference,purpose"
ROWS = [
    "RENT-1,acc-lena,acc-landlord,1000.00,EUR,Rent November,RENT",
    'RENT-2,CH93 0076 2011 6238 5295 7,acc-landlord,300,EUR,"Garage, ""November""",',
    "GIFT,acc-lena,acc-yuki,11000,JPY,,",
]


def lines(*text: str) -> bytes:
    return "\n".join(text).encode()


def read(*text: str) -> PaymentFile:
    return read_payment_file(lines(*text), name="pay.csv")


def refusal(*text: str) -> PaymentFileError:
    with pytest.raises(PaymentFileError) as caught:
        read(*text)
    return caught.value


def test_each_line_is_a_transfer() -> None:
    file = read(HEADER, *ROWS)

    assert (file.format, file.count, file.control_sum) == ("csv", 3, Decimal(12300))
    rent, garage, gift = file.items
    assert (rent.end_to_end_id, rent.reference, rent.purpose) == ("RENT-1", "Rent November", "RENT")
    assert rent.amount == Money(100_000, "EUR")
    assert (rent.debtor.identifier, rent.debtor.iban) == ("acc-lena", None)
    assert garage.debtor.iban == "CH9300762011623852957"
    assert garage.amount == Money(30_000, "EUR"), "missing decimals are filled in"
    assert garage.reference == 'Garage, "November"'
    assert gift.amount == Money(11_000, "JPY")
    assert gift.creditor.currency == "JPY"
    assert file.warnings == ()


def test_columns_in_any_order_and_without_the_optional_ones() -> None:
    (item,) = read("currency,AMOUNT,to,from,end_to_end_id", "EUR,5.00,b,a,X").items
    assert (item.debtor.identifier, item.creditor.identifier) == ("a", "b")
    assert (item.reference, item.purpose) == ("", "")


def test_spreadsheet_habits_change_nothing() -> None:
    """Semicolons, a byte order mark, CRLF, quotes around everything, empty rows at the end: the same file."""
    plain = read(HEADER, ROWS[0])
    habits = [HEADER.replace(",", ";"), ";".join(f'"{text}"' for text in ROWS[0].split(",")), ";;;;;;", ""]
    other = read_payment_file(b"\xef\xbb\xbf" + "\r\n".join(habits).encode())
    assert other.items == plain.items
    assert other.message_id == plain.message_id


def test_facts_about_the_file() -> None:
    file = read(
        "# November, see the contract",
        "# message_id=RENT-2026-11 requested_on=2026-11-30, created_at=2026-11-24T10:00:00",
        HEADER,
        *ROWS,
        "# count=3 control_sum=12300.00",
    )
    assert file.message_id == "RENT-2026-11"
    assert file.created_at == datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert {item.requested_on for item in file.items} == {date(2026, 11, 30)}
    assert {item.message_id for item in file.items} == {"RENT-2026-11"}


def test_the_message_id_is_a_hash_of_what_is_paid() -> None:
    first = read(HEADER, *ROWS)
    assert first.message_id.startswith("csv-")
    assert read("# a remark changes nothing", HEADER, *ROWS).items == first.items
    dearer = read(HEADER, ROWS[0].replace("1000.00", "1000.01"), *ROWS[1:])
    assert dearer.message_id != first.message_id
    assert not {item.transfer_id for item in dearer.items} & {item.transfer_id for item in first.items}
    later = read("# requested_on=2026-12-01", HEADER, *ROWS)
    assert later.message_id != first.message_id


@pytest.mark.parametrize("changed", ["Y,a,b,1,EUR,r,p", "X,c,b,1,EUR,r,p", "X,a,c,1,EUR,r,p", "X,a,b,2,EUR,r,p"])
@pytest.mark.parametrize("and_changed", ["X,a,b,1,CHF,r,p", "X,a,b,1,EUR,s,p", "X,a,b,1,EUR,r,q"])
def test_every_field_counts_in_that_hash(changed: str, and_changed: str) -> None:
    ids = {read(HEADER, row).message_id for row in ("X,a,b,1,EUR,r,p", changed, and_changed)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("facts", "code", "said"),
    [
        ("# count=4", "count_mismatch", "pay.csv:1: count says 4 but there are 3 transfers"),
        (
            "# control_sum=12300.01",
            "control_sum_mismatch",
            "control_sum says 12300.01 but the amounts add up to 12300",
        ),
        ("# contol_sum=12300", "unknown_fact", "'contol_sum=12300' is not understood"),
        ("# count=3 count=3", "repeated_fact", "count is stated twice"),
        ("# count=", "unknown_fact", "'count=' is not understood"),
        ("# count=-3", "invalid_count", "'-3' is not a whole number"),
        ("# requested_on=1.12.2026", "invalid_date", "requested_on '1.12.2026'"),
        ("# created_at=now", "invalid_date", "created_at 'now'"),
    ],
)
def test_facts_that_are_wrong_refuse_the_file(facts: str, code: str, said: str) -> None:
    error = refusal(facts, HEADER, *ROWS)
    assert error.code == code
    assert said in str(error)


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ("X,a,b,1.234,EUR,,", "wrong_decimals", "pay.csv:2 (X): amount 1.234 has too many decimals"),
        ("X,a,b,1.5,JPY,,", "wrong_decimals", "JPY has 0"),
        ('X,a,b,"1,50",EUR,,', "invalid_amount", "amount '1,50' is not a plain number: write it like 1234.50"),
        ("X,a,b,1e3,EUR,,", "invalid_amount", "'1e3'"),
        ("X,a,b,٣,EUR,,", "invalid_amount", "is not a plain number"),
        ("X,a,b,-1.00,EUR,,", "invalid_amount", "'-1.00'"),
        ("X,a,b,0,EUR,,", "amount_not_positive", "amount must be positive"),
        ("X,a,b,1.00,EURO,,", "unknown_currency", "'EURO'"),
        (",a,b,1.00,EUR,,", "missing_field", "pay.csv:2: end_to_end_id is empty"),
        ("X,a,,1.00,EUR,,", "missing_field", "to is empty"),
        ("X,a,b,1.00,EUR,", "bad_line", "6 fields, but the header line has 7"),
        ("X,a,b,1.00,EUR,a,b,c", "bad_line", "8 fields, but the header line has 7"),
        ('X,a,b,1.00,EUR,"open,', "bad_line", "close every quote on its own line"),
        ("X,a,b,1.00,EUR,tab\there,", "bad_character", "reference has a control character"),
        (f"X,{'a' * 101},b,1.00,EUR,,", "field_too_long", "from is longer than 100 characters"),
        (f"X,a,b,1.00,EUR,{'a' * 501},", "field_too_long", "reference is longer than 500 characters"),
    ],
)
def test_a_bad_line_is_named(row: str, code: str, said: str) -> None:
    error = refusal(HEADER, row, ROWS[0])
    assert error.code == code
    assert said in str(error)
    assert len(error.problems) == 1, "the good line after it is not taken for a bad one"


@pytest.mark.parametrize(
    ("header", "code", "said"),
    [
        (HEADER.replace("amount", "betrag"), "missing_column", "lacks 'amount'"),
        (HEADER + ",iban", "unknown_column", "has unknown 'iban'"),
        (HEADER + ",from", "repeated_column", "repeats 'from'"),
        ("hello world", "missing_column", f"expected {HEADER}"),
    ],
)
def test_a_wrong_header_line_is_named(header: str, code: str, said: str) -> None:
    error = refusal(header, ROWS[0])
    assert (error.code, error.location) == (code, "pay.csv:1")
    assert said in error.message


def test_twenty_bad_lines_are_named_and_the_rest_counted() -> None:
    error = refusal(HEADER, ROWS[0], *(f"X{number},a,b,nought,EUR,," for number in range(25)))
    assert len(error.problems) == 21
    assert "25 problems, nothing was used" in str(error)
    assert "pay.csv:3 (X0)" in str(error)
    assert "pay.csv:22 (X19)" in str(error)
    assert "X20" not in str(error)
    assert "and 5 more" in str(error)


def test_a_doubtful_iban_is_a_warning() -> None:
    (warning,) = read(HEADER, ROWS[1].replace("CH93", "CH92")).warnings
    assert warning.code == "doubtful_iban"
    assert warning.location == "pay.csv:2"


def test_an_account_id_is_left_as_it_is_even_if_it_resembles_an_iban() -> None:
    (item,) = read(HEADER, "X,ch9300762011623852957,XX93ABC,1.00,EUR,,").items
    assert (item.debtor.iban, item.debtor.other) == (None, "ch9300762011623852957")
    assert (item.creditor.iban, item.creditor.other) == (None, "XX93ABC")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b" \n \n", "empty_file"),
        (b"# only a remark\n", "no_header"),
        (HEADER.encode(), "no_items"),
        (HEADER.encode() + b"\nX,a,b,1.00,EUR,K\xe4se,\n", "not_utf8"),
    ],
)
def test_what_is_no_csv_at_all(data: bytes, code: str) -> None:
    with pytest.raises(PaymentFileError) as caught:
        read_payment_file(data)
    assert caught.value.code == code


def test_a_file_is_read_from_a_path_and_named_by_it(tmp_path: Path) -> None:
    path = tmp_path / "pay.csv"
    path.write_bytes(lines(HEADER, *ROWS))
    assert read_payment_file(path).count == 3
    assert read_payment_file(str(path)).items == read(HEADER, *ROWS).items

    for missing, reason in ((tmp_path / "no.csv", "No such file"), (tmp_path, "directory")):
        with pytest.raises(PaymentFileError, match=reason) as caught:
            read_payment_file(missing)
        assert caught.value.code == "cannot_read"
        assert str(missing) in str(caught.value)
