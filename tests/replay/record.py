"""Records the histories that test_replay.py replays: `python -m tests.replay.record` against a running stack.

    .venv/bin/python starter.py up --data /tmp/record &
    .venv/bin/python -m tests.replay.record /tmp/record [SCENARIO ...]

Histories are kept for good, also of workflow code that has changed since: an open workflow may have begun with it.
A new set gets a new name (`VERSION`), the old ones stay.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from stack import read_info
from tests.e2e import batching, standing, trading
from tests.e2e import test_worker_crash as scenarios
from tests.e2e.rail import rail_gateway
from tests.e2e.system import system

VERSION = "v2"
HISTORIES = Path(__file__).parent / "histories"
RECORDED = {
    "payment-automatic": scenarios.paid,
    "payment-cancelled": scenarios.cancelled,
    "payment-captured-in-parts": scenarios.captured_in_parts,
    "payment-reviewed": scenarios.reviewed,
    "payment-expired": scenarios.expired,
    "fraud-case-decided": scenarios.case_decided,
    "refund": scenarios.refunded,
    "dispute": scenarios.disputed,
    "transfer-completed": scenarios.transferred,
    "transfer-reviewed": scenarios.transfer_reviewed,
    "transfer-cancelled": scenarios.transfer_cancelled,
    "transfer-compensated": scenarios.compensated,
    "transfer-stuck": scenarios.stuck_and_resolved,
    "transfer-refused-by-rail": scenarios.by_rail("refuses", "compensated", booked=False),
    "order-traded": trading.traded,
    "order-amended": trading.amended,
    "order-expired": trading.expired,
    "order-busted": trading.busted,
    "transfer-outcome-unknown": scenarios.by_rail("silent", "completed", booked=True),
    "batch-mixed": batching.mixed,
    "batch-undone": batching.undone,
    "batch-paused-and-cancelled": batching.paused_and_cancelled,
    "standing-order-ended": standing.skipped_made_ended,
}


async def record(data: Path, names: Collection[str]) -> None:
    """One run of each scenario on the stack's servers, with a worker of its own; every workflow's history."""
    info = read_info(data)
    assert info is not None, f"no stack runs on {data}"
    async with rail_gateway() as rail:
        for name, scenario in ((name, RECORDED[name]) for name in names or RECORDED):
            run = f"{name}-{uuid.uuid4().hex[:6]}"
            gate = Path(tempfile.mkdtemp()) / "gate"
            environment = {"TIDEMARK_RAILS": f'{{"testbank": "{rail.url}"}}', "TIDEMARK_RAIL_TIMEOUT_S": "2"}
            if scenario is scenarios.stuck_and_resolved:
                environment["TIDEMARK_FAILPOINT"] = f"transfer.credit:before_commit=pause:{gate}"
            environment |= trading.environment(scenario, gate)
            async with (
                system(info.admin_database, info.temporal) as under_test,
                under_test.worker(**environment) as worker,
            ):
                await trading.start(worker, scenario)
                await scenario(under_test, run, gate)
                woken = f"WorkflowId STARTS_WITH 'standing_order_run-{run}'"
                runs = sorted([found.id async for found in under_test.client.list_workflows(woken)])
                for workflow_id in (
                    *runs[-1:],  # that with which it ended
                    f"payment-{run}",
                    f"refund-{run}-r1",
                    f"dispute-{run}",
                    f"transfer-{run}",
                    f"fraud_case-payment-{run}",
                    f"fraud_case-transfer-{run}",
                    f"batch-{run}",
                    f"order-{run}-ann",
                    f"order-{run}-bob",
                ):
                    kind = workflow_id.partition("-")[0]
                    maker = "-maker" if workflow_id.endswith("-bob") else ""
                    await _save(under_test.client, workflow_id, f"{name}{maker}.{kind}")


async def _save(client: Client, workflow_id: str, name: str) -> None:
    try:
        history = await client.get_workflow_handle(workflow_id).fetch_history()
    except RPCError:
        return  # this scenario has no such workflow
    (HISTORIES / f"{name}.{VERSION}.json").write_text(
        json.dumps(without_machine(history.to_json_dict()), indent=1) + "\n"
    )
    print(f"recorded {workflow_id} as {name}.{VERSION}.json ({len(history.events)} events)")  # noqa: T201


def without_machine(value: Any) -> Any:
    """A history says on whose machine it was made, in identities and stack traces; replaying needs neither."""
    if isinstance(value, dict):
        return {name: without_machine(inner) for name, inner in value.items() if name != "stackTrace"}
    if isinstance(value, list):
        return [without_machine(inner) for inner in value]
    return re.sub(r"^\d+@[\w.-]+", "1@somewhere", value) if isinstance(value, str) else value


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1]), sys.argv[2:]))
