"""Saved workflow histories run on today's workflow code: a change that would break an open workflow shows here."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from payloads import DATA_CONVERTER
from worker import WORKFLOWS, workflow_runner

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


@pytest.mark.parametrize("sandbox", [True, False], ids=["sandboxed", "as deployed"])
@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_saved_history_replays(path: Path, sandbox: bool) -> None:
    history = WorkflowHistory.from_json(path.stem, path.read_text())
    replayer = Replayer(
        workflows=WORKFLOWS, data_converter=DATA_CONVERTER, workflow_runner=workflow_runner(sandbox)
    )
    await replayer.replay_workflow(history)


def test_every_workflow_has_a_saved_history() -> None:
    recorded = {path.stem.split(".")[1] for path in HISTORIES}
    assert recorded == {
        "payment", "refund", "dispute", "transfer", "fraud_case", "batch", "order", "standing_order_run",
    }  # fmt: skip
