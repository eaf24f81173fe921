"""The banks' own sample files, end to end: afterwards the balances are what the files say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from commands.batch_accounts import account_id_for
from domain.money import format_minor
from payfiles.model import PaymentFile
from payfiles.read import read_payment_file
from tests.e2e.payment_file import balances, credited, events_in, streams_of
from tests.fixtures.processes import ROOT
from tests.fixtures.running import RunningStack

SAMPLES = Path(os.environ.get("TIDEMARK_SHARED_DATA", ROOT.parent / "shared" / "data")) / "iso20022"

pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(),
    reason="the banks' samples are not here; set TIDEMARK_SHARED_DATA to the folder that holds iso20022/",
)


def said_by(file: PaymentFile) -> dict[str, str]:
    """What the file says the balances are, in each account's own currency."""
    currencies = {account_id_for(ref): ref.currency for item in file.items for ref in (item.debtor, item.creditor)}
    return {
        account_id: format_minor(minor, currencies[account_id]) for account_id, minor in credited(file).items()
    }


def run_again(stack: RunningStack, path: Path, *options: str) -> Any:
    """A further run: it must change nothing."""
    file = read_payment_file(path, count_policy="trust_sum")
    before = events_in(stack, streams_of(file))
    said = stack.command("batch", str(path), "--open-missing", "--json", *options)
    assert events_in(stack, streams_of(file)) == before
    return said.json


def test_one_sepa_transfer(running_stack: RunningStack) -> None:
    path = SAMPLES / "pain.001-sepa-one.xml"
    answer = running_stack.json("batch", str(path), "--open-missing")
    assert [item["status"] for item in answer["items"]] == ["completed"]
    assert answer["opened_accounts"] == 2
    assert balances(running_stack, credited(read_payment_file(path))) == {
        "iban:LT007180000000000000:EUR": "0.00",
        "iban:LT007400000000000000:EUR": "99.99",
    }
    again = run_again(running_stack, path)
    assert again["opened_accounts"] == 0
    assert [(item["status"], item["started_before"]) for item in again["items"]] == [("completed", True)]


def test_the_swiss_sample_with_a_wrong_count(running_stack: RunningStack) -> None:
    """Its header says 7 and it holds 8, of which one is from an account to itself."""
    path = SAMPLES / "pain.001-postfinance-sample.xml"
    file = read_payment_file(path, count_policy="trust_sum")
    refused = running_stack.command("batch", str(path), "--open-missing")
    assert refused.code == 1
    assert "count_mismatch" in refused.err
    assert "--accept-count-mismatch" in refused.err
    assert events_in(running_stack, streams_of(file)) == 0

    said = running_stack.command("batch", str(path), "--open-missing", "--accept-count-mismatch", "--json")
    assert said.code == 1, "an item was refused"
    outcomes = {item["end_to_end_id"]: (item["status"], item["failure_code"]) for item in said.json["items"]}
    assert outcomes.pop("EEndToEndId-06-01") == ("refused", "same_account")
    assert set(outcomes.values()) == {("completed", None)}
    found = balances(running_stack, credited(file))
    assert found == said_by(file)
    assert found["iban:CH0309000000250090342:CHF"] == "0.00"
    assert found["iban:CH5109000000250092291:CHF"] == "11.20"
    assert found["acct:014295803:CHF"] == "1.80"

    again = run_again(running_stack, path, "--accept-count-mismatch")
    assert sum(item["started_before"] for item in again["items"]) == 7
    assert balances(running_stack, credited(file)) == found


def test_three_currencies_above_the_review_limit(running_stack: RunningStack) -> None:
    """One identifier, an account in each currency; yen have no decimals; a person approves each."""
    path = SAMPLES / "pain.001-eur-jpy-usd.xml"
    file = read_payment_file(path)
    held = running_stack.command("batch", str(path), "--open-missing", "--json")
    assert held.code == 0, "held for review is not refused"
    assert {item["status"] for item in held.json["items"]} == {"in_review"}
    assert running_stack.json("account", "show", "acct:00125574999:JPY")["balance"] == "10000000"

    for_people = running_stack.command("batch", str(path))
    assert for_people.code == 0
    for item in held.json["items"]:
        running_stack.json("review", item["transfer_id"], "approve")
    done = running_stack.json("batch", str(path))
    assert {item["status"] for item in done["items"]} == {"completed"}
    assert f"starter.py review {held.json['items'][0]['transfer_id']} approve" in for_people.out

    found = balances(running_stack, credited(file))
    assert found == said_by(file)
    assert found["acct:23683707994125:JPY"] == "10000000"
    assert found["iban:BE30001216371411:EUR"] == "500000.00"
    assert found["acct:4895623:USD"] == "1000000.00"
    assert found["acct:00125574999:JPY"] == "0"
    run_again(running_stack, path)
