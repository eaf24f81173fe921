"""What mends what `verify` finds, by the finding's code. docs/runbook.md says more about each."""

from __future__ import annotations

from typing import Final

REPAIR: Final = "starter.py repair"

REMEDIES: Final = {
    "log_not_numbered": REPAIR,
    "leader_stuck": REPAIR,
    "build_orphaned": REPAIR,
    "snapshot_differs": REPAIR,
    "view_missing": REPAIR,
    "view_behind": REPAIR,
    "view_ahead": REPAIR,
    "view_differs": REPAIR,
    "view_broken": REPAIR,
    "view_not_compared": "starter.py verify, again later",
    "dead_letter": REPAIR,
    "dead_letter_follower": REPAIR,
    "schedule_missing": REPAIR,
    "schedule_orphaned": REPAIR,
    "schedule_differs": REPAIR,
    "run_overdue": REPAIR,
    "workflow_missing": REPAIR,
    "workflow_ahead": REPAIR,
    "workflow_behind": REPAIR,
    "workflow_failing": REPAIR,
    "order_without_events": REPAIR,
    "workflow_without_events": "starter.py status, and start a worker",
    "no_worker": "starter.py status, and start a worker",
    "archive_failing": "starter.py backup DIR",
}
DAMAGED: Final = "starter.py restore DIR"
"""Of anything else that is found: the log itself is not what was written."""


def remedy(code: str) -> str:
    """The command to type."""
    return REMEDIES.get(code, DAMAGED)
