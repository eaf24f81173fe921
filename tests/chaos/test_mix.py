"""Two minutes of faults on a real stack: nothing lost, nothing doubled, nothing stuck in silence."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.fixtures.processes import ROOT

SEED = 20
DURATION_S = 85


@pytest.mark.timeout(900)
def test_a_mix_of_faults(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With the start, and the wait until all has settled, it takes two minutes."""
    outcome = tmp_path / "outcome.json"
    options = ["--duration", f"{DURATION_S}s", "--seed", str(SEED), "--gap", "1.5", "--json", str(outcome)]
    done = subprocess.run([sys.executable, "-m", "tests.chaos", *options], cwd=ROOT, check=False)
    with capfd.disabled():
        print(capfd.readouterr().err)  # noqa: T201 - the table is part of the outcome
    said = json.loads(outcome.read_text())
    assert said["violations"] == []
    assert (said["lost"], said["doubled"], said["stuck_without_an_alarm"]) == (0, 0, 0)
    assert said["unknown_at_the_end"] == 0
    assert done.returncode == 0
    # It would be no test if nothing had happened.
    assert said["acknowledged"] > 100
    assert said["trades_settled"] > 5
    assert said["runs_made"] > 2
    assert said["exchanges_made"] > 1
    assert said["trading_halts"] > 0
    assert said["snapshots_compared"] > 20
    assert said["session_reads"] > 20
    assert sum(fault["count"] for fault in said["faults"].values()) >= 10
    assert all(line.endswith(": ok") for line in said["verify"])


@pytest.mark.timeout(300)
def test_an_interrupted_run_leaves_no_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = ["--duration", "10m", "--seed", "1", "--faults", "pause", "--gap", "0.5"]
    with log.open("w") as out:
        run = subprocess.Popen([sys.executable, "-m", "tests.chaos", *options], cwd=ROOT, stderr=out)
    try:
        deadline = time.monotonic() + 120
        while not re.search(r"^\[ +\d+\.\d\] ", log.read_text(), re.MULTILINE):  # the first fault is on
            assert run.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        children = psutil.Process(run.pid).children(recursive=True)
        assert len(children) > 8
        run.send_signal(signal.SIGTERM)
        assert run.wait(150) != 0
        gone, alive = psutil.wait_procs(children, timeout=10)
        assert not alive
        assert len(gone) == len(children)
    finally:
        if run.poll() is None:
            run.kill()
            run.wait()
