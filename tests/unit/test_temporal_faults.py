"""Faults of Temporal's server, and of the way to it, are told as such.

A server that has just come up knows no namespace for a moment: it is away, no more than that.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from api.problems import problem_of
from commands.running import WorkflowOver, ask, no_such_workflow

STARTING = RPCError("Namespace default is not found.", RPCStatusCode.NOT_FOUND, b"")
OVER = RPCError("workflow execution already completed", RPCStatusCode.NOT_FOUND, b"")


class Handle:
    """A workflow's, that answers an update with a fault."""

    id = "payment-p"

    def __init__(self, fault: RPCError) -> None:
        self._fault = fault

    async def execute_update(self, *_: object, **_named: object) -> None:
        raise self._fault


def handle(fault: RPCError) -> WorkflowHandle[Any, Any]:
    return cast("WorkflowHandle[Any, Any]", Handle(fault))


def test_the_client_is_told_to_come_again() -> None:
    problem = problem_of(STARTING)
    assert problem is not None
    assert (problem.status_code, problem.code) == (503, "temporal_unavailable")


async def test_no_workflow_is_taken_for_over() -> None:
    assert no_such_workflow(OVER)
    assert not no_such_workflow(STARTING)
    with pytest.raises(RPCError):
        await ask(handle(STARTING), "update")
    with pytest.raises(WorkflowOver):
        await ask(handle(OVER), "update")


@pytest.mark.parametrize(
    "status", ["UNAVAILABLE", "UNKNOWN", "INTERNAL", "DEADLINE_EXCEEDED", "CANCELLED", "ABORTED"]
)
def test_a_fault_of_the_server_or_the_way_to_it_is_no_fault_of_ours(status: str) -> None:
    problem = problem_of(RPCError("h2 protocol error", RPCStatusCode[status], b""))
    assert problem is not None
    assert (problem.status_code, problem.code) == (503, "temporal_unavailable")
