"""Seeds within the suite, and that the simulator is what it claims: deterministic, true, and able to find bugs."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from domain.catalogue import EVENTS
from tests.simulation.__main__ import many, one, shrunk
from tests.simulation.bugs import BUGS
from tests.simulation.calm import undisturbed
from tests.simulation.shrink import shrink
from tests.simulation.story import Told, run
from tests.simulation.view_tables import ELSEWHERE

SEEDS = range(1, 81)
HISTORIES = Path(__file__).parents[1] / "replay" / "histories"
# Seldom in these few seeds, and limits in none.
SELDOM = {
    "AccountLimitsSet",
    "CancelRequested",
    "QuoteExpired",
    "SourceReleased",
    "ReservationExpired",
    "RemainderVoided",
}

told: dict[int, Told] = {}


@pytest.mark.parametrize("first", range(SEEDS.start, SEEDS.stop, 20))
def test_every_promise_is_kept(first: int) -> None:
    for seed in range(first, first + 20):
        told[seed] = run(seed)
        assert told[seed].error is None, f"python -m tests.simulation --seed {seed}: {told[seed].error!r}"


def test_the_seeds_come_through_every_event_and_every_fault() -> None:
    """Or the promises above would be kept by stories in which nothing happens."""
    lines = [line for seed in SEEDS for line in told[seed].trace]
    events = {name for line in lines for name in re.findall(r"@\d+ (\w+)", line)}
    known = {name for category, types in EVENTS.items() if category not in ELSEWHERE for name in types}
    assert known - events <= SELDOM
    faults = {re.split(r"[@:#]", element)[0].split(" ")[0] for seed in SEEDS for element in told[seed].elements}
    assert faults >= {
        "wish",
        "second",
        "fault",
        "lost-before",
        "lost-after",
        "deadlock",
        "twice",
        "forgotten",
        "rail",
    }
    said = " ".join(lines)
    for what in ("too late with", "task timed out", "repair:", "stopped", "killed"):
        assert what in said, what


def _digest(seed: int) -> str:
    return hashlib.sha256("\n".join(run(seed).trace).encode()).hexdigest()


def test_a_seed_is_the_same_run_in_any_process() -> None:
    program = "import sys; from tests.simulation.test_simulation import _digest; print(_digest(7), _digest(11))"
    for hash_seed in ("1", "2"):
        again = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert again.stdout.split() == [_digest(7), _digest(11)]


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_put_in_on_purpose_is_found_and_shrunk(name: str) -> None:
    """Small for one of the first three: a failure may need one certain commit to be lost, and what led there."""
    with BUGS[name]():
        failing = (told for seed in range(1, 41) if (told := run(seed)).error is not None)
        for found in islice((told for told in failing if len(told.elements) > 6), 3):
            left, least = shrunk(found)
            if len(left) <= 6:
                break
    assert least.error is not None
    assert len(left) <= 6, left
    assert run(found.seed).error is None, "the bug is gone, and it still fails"


def test_a_seed_can_be_watched(capsys: pytest.CaptureFixture[str]) -> None:
    with BUGS["double_credit"]():
        seed = next(seed for seed in range(1, 41) if run(seed).error is not None)
        assert one(seed, None) == 1
    assert one(seed, frozenset()) == 0
    assert "every promise was kept" in capsys.readouterr().out


def test_shrinking_leaves_what_is_needed() -> None:
    elements = [str(number) for number in range(40)]
    assert shrink(elements, lambda kept: {"3", "31"} <= kept) == ["3", "31"]
    assert shrink(elements, lambda kept: True) == []


# --- held to the real thing ------------------------------------------------------------


def _recorded(name: str) -> list[str]:
    """The ledger steps of a history that a real server saved, in order."""
    [path] = HISTORIES.glob(f"{name}.*.json")
    steps = []
    for event in json.loads(path.read_text())["events"]:
        details = event.get("markerRecordedEventAttributes", {}).get("details")
        if details:
            marker = json.loads(base64.b64decode(details["data"]["payloads"][0]["data"]))
            steps.append(marker["activity_type"])
    return steps


@pytest.mark.parametrize("name", ["transfer-completed", "transfer-compensated", "transfer-stuck"])
def test_a_workflow_takes_the_steps_that_a_real_server_recorded(name: str) -> None:
    assert undisturbed(name) == _recorded(name)


def test_many_seeds_run_on_all_cores(capsys: pytest.CaptureFixture[str]) -> None:
    assert many(1, 2) == 0
    assert "2 seeds from 1, every promise kept" in capsys.readouterr().out
