"""examples/api does what it says, on the running stack."""

from __future__ import annotations

import subprocess
import sys

from tests.fixtures.processes import ROOT
from tests.fixtures.running import RunningStack

EXAMPLES = ROOT / "examples" / "api"


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_curl_script(running_stack: RunningStack) -> None:
    said = run("sh", str(EXAMPLES / "curl.sh"), running_stack.info.api, running_stack.info.api_key)
    assert said.lower().count("idempotency-replayed: true") == 1
    assert '"status":"partially_refunded"' in said.splitlines()[-1]


def test_the_python_client(running_stack: RunningStack) -> None:
    said = run(sys.executable, str(EXAMPLES / "client.py"), running_stack.info.api, running_stack.info.api_key)
    assert "captured: processed" in said
    assert "refused: same_account: cannot transfer to the same account in to_account" in said
    assert "39.60 payment" in said or "39.60 fee" in said, said


def test_the_load_script(running_stack: RunningStack) -> None:
    size = ("--payments", "100", "--at-once", "10")
    said = run(
        sys.executable, str(EXAMPLES / "load.py"), running_stack.info.api, running_stack.info.api_key, *size
    )
    assert "100 payments, 10 at once" in said
    assert "all 100 processed" in said
