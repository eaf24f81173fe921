"""`make demo` as a script has it: output to a file, ends by itself, and can be run again on the same data."""

from __future__ import annotations

from pathlib import Path

import pytest

import stack
from tests.fixtures.running import RunningStack, Said, starter

WIDTH = 100
SMALL = ("--count", "100", "--seed", "7")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first(data: Path) -> Said:
    """The first run on new data."""
    return starter("demo", *SMALL, "--data", str(data), timeout_s=240)


def test_it_shows_what_was_promised_and_ends_by_itself(first: Said, data: Path) -> None:
    assert first.code == 0, first
    for part in (
        "What happened",
        "cancelled by a signal while authorised",
        "insufficient funds",
        "no way forward or back",
        "exchanged into dollars",
        "quote expired while in review",
        "paid in euros, received in dollars",
        "captured in two parts, in yen",
        "exchanged, then refunded",
        "Summary",
        "message DEMO-",
        "PaymentRefunded",
        "CreditRefused",
        "TransferCompensated",
        "sold in two parts, delivered against payment",
        "scheduled, made at its time",
        "standing order, a run skipped, one made",
        "Statement of lena-EUR-",
        "spent in ",
        "Lag of the views",
        "Conservation, counted from the whole log",
        "100 payments, transfers and orders in ",
        "Everything ended as planned; no money was lost or invented",
        "Temporal web UI",
    ):
        assert part in first.out, f"{part!r} is missing in:\n{first.out}"
    assert "not as planned" not in first.out
    assert stack.running_pid(data) is None, "the stack it started is still up"


def test_it_fits_a_page(first: Said, data: Path) -> None:
    """All but what is to be copied, and the temporary folder's own long name."""
    wide = [line for line in first.out.splitlines() if len(line) > WIDTH and str(data) not in line]
    assert wide == []


def test_it_runs_again_on_the_same_data(first: Said, data: Path) -> None:
    said = starter("demo", *SMALL, "--data", str(data), "--json", timeout_s=240)
    assert said.code == 0, said.err
    again = said.json
    assert (again["good"], again["count"], again["findings"]) == (True, 100, [])
    assert all(played["planned"] == played["ended"] for played in again["played"])
    assert {played["ended"] for played in again["played"]} >= {
        "processed", "failed", "cancelled", "expired", "refunded", "partially_refunded", "charged_back",
        "completed", "rejected", "compensated", "stuck",
    }  # fmt: skip
    assert {"EUR", "JPY", "KWD", "USD"} <= {line["currency"] for line in again["conservation"]}
    assert all(float(line["difference"]) == 0 for line in again["conservation"])
    assert len(again["lag"]) >= 8
    assert all(view["lag_events"] == 0 for view in again["lag"])
    assert again["statement"]["debit_count"] > 0
    assert {line["category"] for line in again["spending"]} <= {"food", "books", "friends", "transfer"}
    in_suspense = {line["currency"]: line["in_suspense"] for line in again["conservation"]}
    assert float(in_suspense["EUR"]) > 0, "each run leaves one stuck transfer for its user to resolve"


def test_on_a_stack_that_is_up_it_leaves_it_up(running_stack: RunningStack) -> None:
    said = running_stack.command("demo", *SMALL, timeout_s=240)
    assert said.code == 0, said
    assert "Using the stack that is up already" in said.out
    assert stack.read_info(running_stack.data) is not None
    assert running_stack.command("lag").code == 0


def test_too_small_a_count_is_a_usage_error(data: Path) -> None:
    said = starter("demo", "--count", "5", "--data", str(data))
    assert (said.code, said.out) == (2, "")
