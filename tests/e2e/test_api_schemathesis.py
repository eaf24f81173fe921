"""Thousands of generated requests, sound and unsound, alone and in sequences: nothing comes back that the
description does not describe, and no fault."""

from __future__ import annotations

import re
import subprocess
import sys

import psycopg
import pytest

from tests.e2e.api import World
from tests.e2e.schemathesis_hooks import ACCOUNTS
from tests.fixtures.processes import ROOT
from tests.fixtures.running import RunningStack

EXAMPLES, SEED = 28, 20260301


@pytest.mark.timeout(500)
def test_the_api_keeps_to_its_description(world: World, running_stack: RunningStack) -> None:
    for account in ACCOUNTS:
        body = {"account_id": account, "user_id": "st", "currency": "EUR"}
        assert world.http.post("/v1/accounts", json=body).status_code == 201
        world.deposit(account, "1000000.00")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", "tests/e2e/schemathesis.toml", "run"),
            f"{world.info.api}/openapi.json",
            *("--header", f"Authorization: Bearer {world.info.api_key}"),
            *("--max-examples", str(EXAMPLES), "--seed", str(SEED), "--workers", "1", "--no-color"),
            *("--continue-on-failure", "--generation-database", "none"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=420,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    described = world.http.get("/openapi.json").json()["paths"]
    operations = sum(method in ("get", "post") for path in described.values() for method in path)
    assert f"Tested: {operations}" in done.stdout, re.findall(r"Tested: \d+", done.stdout)
    [cases] = re.findall(r"(\d+) generated", done.stdout)
    assert int(cases) > 2000
    with psycopg.connect(running_stack.info.read_database) as connection:
        [(broken,)] = connection.execute("SELECT count(*) FROM read.conservation WHERE difference <> 0").fetchall()
    assert broken == 0
