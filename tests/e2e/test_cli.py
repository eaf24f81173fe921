"""The command line as a user has it: every command once, and bad input on every one of them."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.fixtures.running import RunningStack, starter


@pytest.fixture
def run() -> str:
    return f"cli-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def accounts(running_stack: RunningStack, run: str) -> tuple[str, str]:
    """Two accounts, the first with 1,000 EUR."""
    first, second = f"{run}-a", f"{run}-b"
    running_stack.json("account", "open", first, "--user", "ann", "--currency", "EUR", "--deposit", "1000")
    running_stack.json("account", "open", second, "--user", "bob", "--currency", "EUR")
    return first, second


def test_a_payment_is_made_shown_refunded_and_disputed(
    running_stack: RunningStack, run: str, accounts: tuple[str, str]
) -> None:
    payer, payee = accounts
    paid = running_stack.json("pay", payer, payee, "100", "EUR", "--id", run, "--tag", "food")
    assert (paid["status"], paid["fee"]["amount"]) == ("processed", "1.00")
    again = running_stack.json("pay", payer, payee, "100", "EUR", "--id", run, "--tag", "food")
    assert again["status"] == "processed"
    assert running_stack.json("account", "show", payer)["balance"] == "900.00"

    shown = running_stack.json("show", run)
    assert [event["type"] for event in shown["events"]] == [
        "PaymentInitiated",
        "FraudCheckPassed",
        "PaymentAuthorized",
        "PaymentProcessed",
    ]
    assert running_stack.json("refund", run, "40", "EUR")["status"] == "partially_refunded"
    assert running_stack.json("dispute", "open", run, "--reason", "broken")["status"] == "disputed"
    assert running_stack.json("dispute", "resolve", run, "won")["status"] == "partially_refunded"
    assert running_stack.json("account", "show", payer)["balance"] == "940.00"


def test_a_manual_payment_is_captured_in_part_and_the_rest_voided(
    running_stack: RunningStack, run: str, accounts: tuple[str, str]
) -> None:
    payer, payee = accounts
    held = running_stack.json("pay", payer, payee, "100", "EUR", "--id", run, "--manual")
    assert held["status"] == "authorized"
    assert running_stack.json("account", "show", payer)["available"] == "900.00"
    assert running_stack.json("capture", run, "30", "EUR")["status"] == "partially_captured"
    assert running_stack.json("cancel", run)["status"] == "processed"
    assert running_stack.json("account", "show", payer)["available"] == "970.00"
    late = running_stack.command("capture", run)
    assert late.code == 1
    assert "payment is not in authorized or partially_captured status" in late.err


def test_a_transfer_completes_is_reviewed_and_watched(
    running_stack: RunningStack, run: str, accounts: tuple[str, str]
) -> None:
    source, destination = accounts
    done = running_stack.json("transfer", source, destination, "250.50", "EUR", "--id", run)
    assert (done["status"], done["location"]) == ("completed", "destination")
    assert running_stack.json("account", "show", destination)["balance"] == "250.50"

    running_stack.json("account", "deposit", source, "50000", "EUR")
    big = running_stack.json("transfer", source, destination, "20000", "EUR", "--id", f"{run}-big")
    assert big["status"] == "in_review"
    rejected = running_stack.json("review", f"{run}-big", "reject", "--note", "unusual")
    assert (rejected["status"], rejected["failure_reason"]) == ("rejected", "unusual")
    watched = running_stack.command("watch", run, "--limit", "2", "--json")
    assert "TransferInitiated" in watched.out


def test_a_repeat_under_the_same_id_must_say_the_same(
    running_stack: RunningStack, run: str, accounts: tuple[str, str]
) -> None:
    payer, payee = accounts
    running_stack.json("pay", payer, payee, "100", "EUR", "--id", run, "--manual")
    first = running_stack.json("capture", run, "10", "EUR", "--id", "c1")
    assert running_stack.json("capture", run, "10", "EUR", "--id", "c1")["captured"] == first["captured"]
    other = running_stack.command("capture", run, "20", "EUR", "--id", "c1")
    assert other.code == 1
    assert "idempotency_conflict" in other.err
    assert running_stack.json("capture", run, "--id", "c2")["status"] == "processed"
    # The workflow is over now: a repeat is still a repeat, another content still another command.
    assert running_stack.json("capture", run, "10", "EUR", "--id", "c1")["payment_id"] == run
    assert "idempotency_conflict" in running_stack.command("capture", run, "20", "EUR", "--id", "c1").err


def test_status_tells_where_everything_is(running_stack: RunningStack) -> None:
    told = running_stack.json("status")
    assert set(told) >= {"api", "api_key", "temporal", "temporal_ui", "database", "read_database", "processes"}
    assert told["processes"]["worker"]
    assert told["processes"]["projector"]


TOO_LONG = "x" * 501
BAD: list[tuple[list[str], int, str]] = [
    (["account", "show", "nobody"], 1, "account nobody does not exist"),
    (["account", "open", "x", "--user", "u", "--currency", "XYZ"], 1, "unknown currency 'XYZ'"),
    (["account", "open", "bad id!", "--user", "u", "--currency", "EUR"], 2, "account_id"),
    (["account", "deposit", "nobody", "10", "EUR"], 1, "account nobody does not exist"),
    (["account", "deposit", "nobody", "1.234", "EUR"], 1, "too many decimals"),
    (["account", "deposit", "nobody", "ten", "EUR"], 1, "not a plain decimal number"),
    (["account", "freeze", "nobody"], 1, "account nobody does not exist"),
    (["pay", "nobody", "noone", "10", "EUR"], 1, "account nobody does not exist"),
    (["pay", "a", "a", "10", "EUR"], 1, "cannot transfer to the same account"),
    (["pay", "a", "b", "0", "EUR"], 1, "amount must be positive"),
    (["pay", "a", "b", "1.5", "JPY"], 1, "too many decimals"),
    (["pay", "a", "b"], 2, "Missing argument"),
    (["pay", "a", "b", "1", "EUR", "--meta", "novalue"], 1, "not key=value"),
    (["capture", "nothing"], 1, "payment nothing does not exist"),
    (["capture", "nothing", "5"], 1, "say the currency too"),
    (["refund", "nothing"], 1, "payment nothing does not exist"),
    (["dispute", "open", "nothing", "--reason", "r"], 1, "payment nothing does not exist"),
    (["dispute", "resolve", "nothing", "maybe"], 2, "a dispute is won or lost"),
    (["cancel", "nothing"], 1, "no payment or transfer has the id nothing"),
    (["review", "nothing", "approve"], 1, "no payment or transfer has the id nothing"),
    (["review", "nothing", "perhaps"], 2, "decide approve or reject"),
    (["show", "nothing"], 1, "no payment or transfer has the id nothing"),
    (["transfer", "a", "a", "10", "EUR"], 1, "cannot transfer to the same account"),
    (["transfer", "a", "b", "--", "-5", "EUR"], 1, "amount must be positive"),
    (["resolve", "nothing", "retry"], 1, "transfer nothing does not exist"),
    (["resolve", "nothing", "pray"], 2, "can be resolved by"),
    (["crash", "everything"], 3, "runs no everything"),
    (["rebuild", "no-such-view"], 1, "there is no view"),
    (["dead-letters", "retry", "999999"], 1, "999999"),
    (["nonsense"], 2, "No such command"),
    (["cancel", "nothing", "--reason", TOO_LONG], 2, "reason: String should have at most 500 characters"),
    (["review", "nothing", "approve", "--note", TOO_LONG], 2, "note: String should have at most 500 characters"),
    (["order", "cancel", "nothing", "--id", TOO_LONG], 2, "wish_id: String should have at most 250 characters"),
    (["standing-order", "pause", "nothing", "--reason", TOO_LONG], 2, "reason: String should have at most"),
    (["batch-pause", "nothing", "--reason", TOO_LONG], 2, "reason: String should have at most 500 characters"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_one_clear_answer(
    running_stack: RunningStack, arguments: list[str], code: int, message: str
) -> None:
    if "--" in arguments:
        said = starter(arguments[0], "--data", str(running_stack.data), *arguments[1:])
    else:
        said = running_stack.command(*arguments)
    assert said.code == code, said
    assert message in " ".join(said.err.split())
    assert "Traceback" not in said.err


def test_without_a_stack_every_command_says_how_to_start_one(tmp_path: Path) -> None:
    for arguments in (
        ["status"],
        ["account", "show", "a"],
        ["lag"],
        ["verify"],
        ["transfer", "a", "b", "1", "EUR"],
    ):
        said = starter(*arguments, "--data", str(tmp_path))
        assert said.code == 3, said
        assert "make up" in said.err
