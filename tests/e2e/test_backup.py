"""A stack brought back to a moment, in place and on a fresh machine, by the commands an operator types.

Nothing acknowledged before it is missing, the money adds up, and `repair` joins workflows and log together again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import stack
from cli.local import stack_config
from tests.fixtures.running import RunningStack, starter

SETTLES_S = 60


@contextmanager
def running(data: Path) -> Iterator[RunningStack]:
    """Without the API, which this is not about."""
    config = stack_config(data, stack.progress.no_progress)
    config = replace(config, processes=[spec for spec in config.processes if spec.part != "api"])
    with stack.up(config) as up:
        yield RunningStack(data, up.info)


def pay(on: RunningStack, payment_id: str, *options: str) -> None:
    """Acknowledged, once this returns."""
    on.json("pay", "ana", "ben", "10.00", "EUR", "--id", payment_id, *options)


def last(on: RunningStack, *items: str) -> list[str]:
    """The last event of each."""
    return [on.json("show", item)["events"][-1]["type"] for item in items]


def until_open(on: RunningStack, case_id: str) -> None:
    """The case beside what is held for review opens on its own time."""
    deadline = time.monotonic() + SETTLES_S
    while on.command("fraud", "show", case_id).code != 0:
        assert time.monotonic() < deadline, case_id


def findings(on: RunningStack) -> set[tuple[str, str]]:
    said = on.command("verify", "--json")
    checks: list[dict[str, Any]] = said.json["checks"]
    found = {(finding["code"], finding["where"]) for check in checks for finding in check["findings"]}
    assert said.code == (1 if found else 0)
    return found


def repaired(on: RunningStack) -> None:
    """`repair`, and `verify` is green as soon as what runs again has come to rest."""
    assert on.command("repair").code == 0
    deadline = time.monotonic() + SETTLES_S
    while found := findings(on):
        assert time.monotonic() < deadline, found


@pytest.mark.timeout(900)
def test_restored_to_a_moment_and_repaired(tmp_path: Path) -> None:
    data, kept, fresh = tmp_path / "data", tmp_path / "kept", tmp_path / "fresh"
    with running(data) as first:
        first.json("account", "open", "ana", "--user", "ana", "--currency", "EUR", "--deposit", "50000")
        first.json("account", "open", "ben", "--user", "ben", "--currency", "EUR")
        pay(first, "before-backup")
        assert first.json("backup", str(kept))["bytes"] > 0
        pay(first, "before-moment")
        pay(first, "held", "--manual")
        first.json("transfer", "ana", "ben", "20000", "EUR", "--id", "reviewed")
        until_open(first, "transfer-reviewed")
        moment = datetime.now(UTC)
        pay(first, "after-moment")
        first.json("transfer", "ana", "ben", "30000", "EUR", "--id", "later")
        first.json("capture", "held")
        assert findings(first) == set()

    said = starter("restore", str(kept), "--to", moment.isoformat(), "--data", str(data), "--json")
    assert said.code == 0, said
    assert said.json["reached"]
    with running(data) as second:
        assert findings(second) == {
            ("workflow_missing", "payment-held"),
            ("order_without_events", "payment-after-moment"),
            ("workflow_ahead", "transfer-later"),
            ("workflow_ahead", "fraud_case-transfer-later"),
        }
        assert last(second, "before-backup", "before-moment") == ["PaymentProcessed"] * 2
        planned = second.json("repair", "--dry-run")
        assert {one["where"] for one in planned["repaired"]} == {where for _, where in findings(second)}
        repaired(second)
        # Ordered after the moment, and done again, as it was acknowledged. Decisions are to be made again.
        assert last(second, "after-moment", "held", "reviewed", "later") == [
            "PaymentProcessed",
            "PaymentAuthorized",
            "TransferHeldForReview",
            "TransferHeldForReview",
        ]
        second.json("capture", "held")
        assert second.json("account", "show", "ben")["balance"] == "39.60"

    said = starter("restore", str(kept), "--data", str(fresh), "--json")
    assert said.code == 0, said
    with running(fresh) as third:
        # Temporal is empty here: its data is no part of a backup.
        open_there = ("transfer-reviewed", "transfer-later")
        assert findings(third) == {
            ("workflow_missing", workflow) for item in open_there for workflow in (item, f"fraud_case-{item}")
        }
        repaired(third)
        assert third.json("account", "show", "ben")["balance"] == "39.60"
        third.json("review", "reviewed", "approve", "--by", "ana")
        assert third.json("account", "show", "ben")["balance"] == "20039.60"
        assert findings(third) == set()
