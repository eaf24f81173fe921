"""`starter.py batch`: idempotent, resumable, and clear about what it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from commands.batch_accounts import account_id_for
from payfiles.read import read_payment_file
from tests.e2e.payment_file import balances, csv_file, events_in, streams_of
from tests.fixtures.processes import ROOT
from tests.fixtures.running import RunningStack, starter


@pytest.fixture
def run() -> str:
    return f"B{uuid.uuid4().hex[:8]}"


def test_a_csv_runs_and_running_it_again_changes_nothing(
    running_stack: RunningStack, tmp_path: Path, run: str
) -> None:
    path = csv_file(
        tmp_path,
        run,
        f"{run}-1,{run}-ann,{run}-bob,100.00,EUR,Rent [November],RENT",
        f"{run}-2,{run}-ann,DE89370400440532013000,9000,JPY,[/b] present,",
        facts="count=2 control_sum=9100.00",
    )
    answer = running_stack.json("batch", str(path), "--open-missing")
    assert [item["status"] for item in answer["items"]] == ["completed", "completed"]
    assert answer["opened_accounts"] in (3, 4), "the IBAN may be known from another test"
    shown = running_stack.json("show", answer["items"][0]["transfer_id"])["events"][0]["data"]
    assert (shown["reference"], shown["purpose"]) == ("Rent [November]", "RENT")
    assert shown["metadata"]["message_id"] == run
    assert shown["metadata"]["end_to_end_id"] == f"{run}-1"

    before = events_in(running_stack, streams_of(read_payment_file(path)))
    again = running_stack.command("batch", str(path), "--open-missing")
    assert again.code == 0
    assert "2 of 2 had been started by an earlier run" in again.out
    assert events_in(running_stack, streams_of(read_payment_file(path))) == before


def test_accounts_are_found_by_iban_and_by_their_own_id(
    running_stack: RunningStack, tmp_path: Path, run: str
) -> None:
    iban = "GB29NWBK60161331926819"
    payer, payee = f"{run}-payer", f"{run}-payee"
    opening = ("--user", "ann", "--currency", "KWD")
    running_stack.json("account", "open", payer, *opening, "--deposit", "50")
    running_stack.json("account", "open", payee, *opening, "--iban", iban)
    path = csv_file(tmp_path, run, f"{run}-1,{payer},{iban},12.345,KWD,,")
    [item] = running_stack.json("batch", str(path))["items"]
    assert (item["from_account"], item["to_account"], item["status"]) == (payer, payee, "completed")
    assert running_stack.json("account", "show", payee)["balance"] == "12.345"


def test_a_missing_account_refuses_its_items_and_no_others(
    running_stack: RunningStack, tmp_path: Path, run: str
) -> None:
    payer, payee = f"{run}-payer", f"{run}-payee"
    for account in (payer, payee):
        running_stack.json("account", "open", account, "--user", "ann", "--currency", "EUR", "--deposit", "10")
    path = csv_file(
        tmp_path,
        run,
        f"{run}-1,{payer},{payee},4.00,EUR,,",
        f"{run}-2,{payer},{run}-nobody,5.00,EUR,,",
        f"{run}-3,{payer},{payee},5.00,USD,,",
        f"{run}-4,{payer},{payee},500.00,EUR,,",
    )
    said = running_stack.command("batch", str(path), "--json")
    assert said.code == 1
    assert [(item["status"], item["failure_code"]) for item in said.json["items"]] == [
        ("completed", None),
        ("refused", "account_not_found"),
        ("refused", "currency_mismatch"),
        ("rejected", "insufficient_funds"),
    ]
    for_people = running_stack.command("batch", str(path))
    assert f"no account has id {run}-nobody in EUR ({run}-2)" in for_people.out
    assert "--open-missing opens them" in for_people.out

    opened = running_stack.command("batch", str(path), "--open-missing", "--json")
    assert opened.code == 1, "one stays rejected"
    assert [item["status"] for item in opened.json["items"]] == ["completed", "completed", "completed", "rejected"]
    assert [item["started_before"] for item in opened.json["items"]] == [True, False, False, True]


def test_the_same_ids_with_another_creditor_are_refused(
    running_stack: RunningStack, tmp_path: Path, run: str
) -> None:
    """A file changed after it was run must not look as if it had been run."""
    path = csv_file(tmp_path, run, f"{run}-1,{run}-a,{run}-b,1.00,EUR,,")
    running_stack.json("batch", str(path), "--open-missing")
    for line in (f"{run}-1,{run}-a,{run}-thief,1.00,EUR,,", f"{run}-1,{run}-a,{run}-b,2.00,EUR,,"):
        csv_file(tmp_path, run, line)
        said = running_stack.command("batch", str(path), "--open-missing", "--json")
        assert said.code == 1
        assert [item["failure_code"] for item in said.json["items"]] == ["idempotency_conflict"]
    paid = account_id_for(read_payment_file(path).items[0].creditor)
    assert running_stack.json("account", "show", paid)["balance"] == "1.00"


def test_a_wrong_control_sum_moves_nothing(running_stack: RunningStack, tmp_path: Path, run: str) -> None:
    lines = (f"{run}-1,{run}-a,{run}-b,1.00,EUR,,", f"{run}-2,{run}-a,{run}-b,2.75,EUR,,")
    path = csv_file(tmp_path, run, *lines, facts="control_sum=30.50")
    for_people = running_stack.command("batch", str(path), "--open-missing", "--accept-count-mismatch")
    said = running_stack.command("batch", str(path), "--open-missing", "--json")
    assert (for_people.code, for_people.out, said.code) == (1, "", 1)
    assert "control_sum says 30.5 but the amounts add up to 3.75" in for_people.err
    assert said.json["error"]["code"] == "control_sum_mismatch"
    whole = csv_file(tmp_path, run, *lines)
    assert events_in(running_stack, streams_of(read_payment_file(whole))) == 0


def test_killed_in_the_middle_it_resumes(running_stack: RunningStack, tmp_path: Path, run: str) -> None:
    count = 120
    people = [f"{run}-p{number}" for number in range(8)]
    lines = [
        f"{run}-{number:03},{people[number % 8]},{people[(number + 3) % 8]},1.0{number % 10},EUR,,"
        for number in range(count)
    ]
    path = csv_file(tmp_path, run, *lines)
    file = read_payment_file(path)
    transfers = [stream for stream in streams_of(file) if stream.startswith("transfer-")]
    command = [sys.executable, str(ROOT / "starter.py"), "batch", str(path), "--open-missing"]
    command += ["--in-flight", "2", "--data", str(running_stack.data)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while events_in(running_stack, transfers) < 20:
            assert time.monotonic() < deadline
            assert process.poll() is None, "ended before it could be killed"
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)

    resumed = running_stack.json("batch", str(path), "--open-missing")
    assert {item["status"] for item in resumed["items"]} == {"completed"}
    before = sum(item["started_before"] for item in resumed["items"])
    assert 0 < before < count
    expected = dict.fromkeys(people, 0)
    for item in file.items:
        expected[item.creditor.identifier] += item.amount.minor
    found = balances(running_stack, [f"acct:{person}:EUR" for person in people])
    assert list(found.values()) == [f"{minor // 100}.{minor % 100:02}" for minor in expected.values()]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["{folder}/nothing.xml"], "there is no file"),
        (["{folder}"], "there is no file"),
        (["{folder}/any.xml", "--in-flight", "0"], "in-flight"),
        ([], "FILE"),
    ],
)
def test_bad_usage(running_stack: RunningStack, tmp_path: Path, arguments: list[str], word: str) -> None:
    given = [argument.format(folder=tmp_path) for argument in arguments]
    said = running_stack.command("batch", *given)
    assert (said.code, said.out) == (2, "")
    assert word in said.err


def test_without_a_stack_it_says_so(tmp_path: Path, run: str) -> None:
    path = csv_file(tmp_path, run, f"{run}-1,{run}-a,{run}-b,1.00,EUR,,")
    said = starter("batch", str(path), "--data", str(tmp_path / "no-stack"), "--json")
    assert said.code == 3
    assert said.json["error"]["code"] == "unreachable"
