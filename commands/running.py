"""How a command reaches its workflow: start it or join the running one, and put what comes back in our words."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.ledger import fingerprint
from activities.steps import Wish
from domain import errors
from domain.errors import Conflict, DomainError
from settings import Settings

T = TypeVar("T")

START_TIMEOUT_S = 10
"""How long Temporal may take to take a workflow on. Whether it did is unknown after that; a repeat finds out."""

ANSWER_TIMEOUT_S = 60
"""How long a command waits for its answer. The workflow goes on all the same."""

UPDATE_TRIES = 4
"""How often a workflow that turns an update away is asked."""


class NoAnswer(Exception):
    """Nobody said, or said in time, what became of the command: an unknown outcome, not a failure."""


class WorkflowOver(Exception):
    """There is no running workflow of this id."""


async def start_workflow(
    client: Client,
    settings: Settings,
    run: Any,
    *args: Any,
    workflow_id: str,
    summary: str,
    search_attributes: TypedSearchAttributes,
    reuse: WorkflowIDReusePolicy = WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
) -> tuple[WorkflowHandle[Any, Any], bool]:
    """The handle, and whether this call started it (else somebody's earlier one of the same id is joined)."""
    try:
        handle = await client.start_workflow(
            run,
            args=list(args),
            id=workflow_id,
            task_queue=settings.task_queue,
            id_reuse_policy=reuse,
            task_timeout=timedelta(seconds=settings.workflow_task_timeout_s),
            static_summary=summary,
            search_attributes=search_attributes,
            rpc_timeout=timedelta(seconds=START_TIMEOUT_S),
            request_eager_start=True,  # where this very process has a worker, it begins at once
        )
    except WorkflowAlreadyStartedError:
        return client.get_workflow_handle(workflow_id), False
    return handle, True


async def ask(handle: WorkflowHandle[Any, Any], update: Any, *args: Any, update_id: str | None = None) -> Any:
    """An update's answer. Raises the refusal, WorkflowOver where nothing runs, NoAnswer after a minute or where it
    is turned away again and again.
    """
    update_id = update_id or uuid.uuid4().hex
    turned_away: RPCError | None = None
    for _ in range(UPDATE_TRIES):
        try:
            return await answered(handle.execute_update(update, args=list(args), id=update_id))
        except WorkflowUpdateFailedError as failed:
            raise in_our_words(failed.cause) from failed
        except RPCError as fault:
            if no_such_workflow(fault):
                raise WorkflowOver(handle.id) from fault
            # Something else (a signal, a child's end) reached the workflow in the very task that should have ended
            # it: the server has the task done again and turns the update away. The same id asks for it once more.
            if fault.status is not RPCStatusCode.FAILED_PRECONDITION:
                raise
            turned_away = fault
    # Or that task has failed several times: what was asked may be done once it no longer does.
    raise NoAnswer(
        f"{handle.id} takes nothing at present ({turned_away}): ask again; where that does not help, "
        "`starter.py verify` says workflow_failing, and `repair` runs it again"
    ) from turned_away


def no_such_workflow(fault: RPCError) -> bool:
    """Whether Temporal says that there is no such workflow, and knows what it is talking about."""
    return fault.status is RPCStatusCode.NOT_FOUND and not still_starting(fault)


def still_starting(fault: RPCError) -> bool:
    """A server that has just been started answers for a moment before it knows its namespaces."""
    return fault.status is RPCStatusCode.NOT_FOUND and str(fault).startswith("Namespace ")


def update_id(wish: Wish) -> str:
    """Temporal answers a repeated update id without looking at its content, so the content is part of it; and what
    was refused at one version may be granted at another.
    """
    condition = "" if wish.if_version is None else f":{wish.if_version}"
    return f"{wish.wish_id}:{fingerprint(wish).hex()[:16]}{condition}"


async def result_of(handle: WorkflowHandle[Any, Any]) -> Any:
    """The result of a workflow that is over. Raises the refusal that ended it, or NoAnswer."""
    try:
        return await answered(handle.result())
    except WorkflowFailureError as failed:
        raise in_our_words(failed.cause) from failed


async def resting(handle: WorkflowHandle[Any, Any], update: Any) -> Any:
    """Where the workflow stands once it is over or waits for somebody."""
    try:
        return await ask(handle, update)
    except WorkflowOver:
        return await result_of(handle)


async def answered(answer: Awaitable[T]) -> T:
    """`answer`, or NoAnswer when it takes too long."""
    try:
        return await asyncio.wait_for(answer, ANSWER_TIMEOUT_S)
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as late:
        raise NoAnswer(
            f"no answer within {ANSWER_TIMEOUT_S} s: is a worker running? What was asked may still happen"
        ) from late


def in_our_words(cause: BaseException | None) -> Exception:
    """The refusal that an ApplicationError carries, as the domain raised it. Where the workflow was ended from
    outside (terminated, say) what it had under way may still happen: NoAnswer.
    """
    if isinstance(cause, ApplicationError) and cause.details and isinstance(cause.details[0], dict):
        details = cause.details[0]
        kind = getattr(errors, str(details.get("kind")), Conflict)
        if isinstance(kind, type) and issubclass(kind, DomainError):
            return kind(str(details["code"]), cause.message, details.get("field"))
    return NoAnswer(
        f"its workflow was ended before it answered ({cause}); what was asked may have happened all the same: "
        "ask again"
    )


def workflow_missing(workflow_id: str) -> Conflict:
    """The log says it is open, but nothing runs it: terminated by hand, or Temporal lost it."""
    return Conflict(
        "workflow_missing", f"{workflow_id} is open but no workflow runs it: `starter.py repair` restarts it"
    )
