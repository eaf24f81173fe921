"""The pain.001 samples that banks publish, and our own examples.

What the files say is computed here a second time with nothing but the standard library.
"""

from __future__ import annotations

import os
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from payfiles.errors import PaymentFileError
from payfiles.model import PaymentFile
from payfiles.read import read_payment_file
from payfiles.totals import CountPolicy

REPO = Path(__file__).parents[2]
SAMPLES = Path(os.environ.get("TIDEMARK_SHARED_DATA", REPO.parent / "shared" / "data")) / "iso20022"
EXAMPLES = REPO / "examples"

needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(),
    reason="the banks' samples are not here; set TIDEMARK_SHARED_DATA to the folder that holds iso20022/",
)

Totals = dict[tuple[str, str], Decimal]


def said_by(path: Path) -> tuple[int, Totals, Totals]:
    """Count, and sums by (account, currency) of debtors and of creditors, straight from the XML."""
    root = ET.parse(path).getroot()  # noqa: S314 - files we know
    for element in root.iter():
        element.tag = element.tag.split("}")[1]
    debits: Totals = defaultdict(Decimal)
    credits_: Totals = defaultdict(Decimal)
    count = 0
    for group in root.iter("PmtInf"):
        for transfer in group.iter("CdtTrfTxInf"):
            amount = next(element for element in transfer.iter() if "Ccy" in element.attrib)
            currency, number = amount.attrib["Ccy"], Decimal(amount.text or "")
            debits[_account(group, "DbtrAcct"), currency] += number
            credits_[_account(transfer, "CdtrAcct"), currency] += number
            count += 1
    return count, dict(debits), dict(credits_)


def _account(element: ET.Element, tag: str) -> str:
    identity = element.find(f"{tag}/Id")
    assert identity is not None
    return "".join(text.strip() for text in identity.itertext())


def sums_of(file: PaymentFile) -> tuple[int, Totals, Totals]:
    debits: Totals = defaultdict(Decimal)
    credits_: Totals = defaultdict(Decimal)
    for item in file.items:
        debits[item.debtor.identifier, item.debtor.currency] += Decimal(item.amount.amount)
        credits_[item.creditor.identifier, item.creditor.currency] += Decimal(item.amount.amount)
    return len(file.items), dict(debits), dict(credits_)


@needs_samples
@pytest.mark.parametrize(
    ("name", "policy", "form", "control_sum", "currencies"),
    [
        ("pain.001-eur-jpy-usd.xml", "strict", "pain.001.001.03", "11500000", ["EUR", "JPY", "USD"]),
        ("pain.001-sepa-one.xml", "strict", "pain.001.001.03", "99.99", ["EUR"]),
        ("pain.001-postfinance-sample.xml", "trust_sum", "pain.001.001.03.ch.02", "38.00", ["CHF"] * 8),
    ],
)
def test_a_banks_sample_says_what_its_xml_says(
    name: str, policy: CountPolicy, form: str, control_sum: str, currencies: list[str]
) -> None:
    file = read_payment_file(SAMPLES / name, count_policy=policy)
    assert (file.format, file.count, file.control_sum) == (form, len(currencies), Decimal(control_sum))
    assert sorted(item.amount.currency for item in file.items) == currencies
    assert sums_of(file) == said_by(SAMPLES / name)
    assert file.items == read_payment_file(SAMPLES / name, count_policy=policy).items
    assert len({item.transfer_id for item in file.items}) == file.count


@needs_samples
def test_yen_have_no_cents() -> None:
    yen, *_ = read_payment_file(SAMPLES / "pain.001-eur-jpy-usd.xml").items
    assert (yen.amount.minor, yen.amount.amount) == (10_000_000, "10000000")


@needs_samples
def test_the_swiss_sample_has_a_wrong_count_and_is_refused_unless_the_sum_is_trusted() -> None:
    with pytest.raises(PaymentFileError, match="NbOfTxs says 7 but there are 8 transfers") as caught:
        read_payment_file(SAMPLES / "pain.001-postfinance-sample.xml")
    assert caught.value.code == "count_mismatch"

    file = read_payment_file(SAMPLES / "pain.001-postfinance-sample.xml", count_policy="trust_sum")
    assert sorted(warning.code for warning in file.warnings) == [
        "count_mismatch",
        "doubtful_iban",
        "doubtful_iban",
        "no_exchange",
    ]


@needs_samples
def test_a_statement_is_no_payment_file() -> None:
    with pytest.raises(PaymentFileError, match=r"found <Document> of namespace '[^']*camt.053.001.02'"):
        read_payment_file(SAMPLES / "camt.053-fi-sample.xml")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.pain.001.*.xml")), ids=lambda path: path.name)
def test_our_examples_say_what_their_xml_says(path: Path) -> None:
    file = read_payment_file(path)
    assert sums_of(file) == said_by(path)
    assert f".{file.format}.xml" in path.name
    assert not [warning for warning in file.warnings if warning.code == "doubtful_iban"]


def test_there_is_an_example_of_every_format() -> None:
    files = [*EXAMPLES.glob("*.pain.001.*.xml"), *EXAMPLES.glob("*.csv")]
    assert {read_payment_file(path).format for path in files} == {
        "pain.001.001.03",
        "pain.001.001.09",
        "pain.001.001.03.ch.02",
        "csv",
    }
