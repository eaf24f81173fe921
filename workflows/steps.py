"""How workflows call activities: ledger steps as local activities, the outside world as remote ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from activities.search import STATUS, USER

P = ParamSpec("P")
Step = TypeVar("Step")

_LEDGER_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
_RAIL_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=30))


async def ledger_step(
    summary: str, leg: Callable[Concatenate[Any, P], Awaitable[Step]], *args: P.args, **none: P.kwargs
) -> Step:
    """A step of ours: a few milliseconds in Postgres, safe to repeat, retried until known. A refusal is final.

    `args` go by place, as Temporal passes them; nothing goes by name.
    """
    return await workflow.execute_local_activity_method(
        leg,
        args=args,
        summary=summary,
        start_to_close_timeout=timedelta(seconds=15),
        # Past this backoff the wait becomes a durable timer, so that a long outage holds no workflow task open.
        local_retry_threshold=timedelta(seconds=5),
        retry_policy=_LEDGER_RETRY,
    )


def stretch(summary: str, task_queue: str | None = None) -> workflow.ActivityConfig:
    """A second or so of a batch's way: a remote step, so that what is asked is heard between two of them.

    It beats after each chunk; a worker that died is noticed as soon as one that died within a workflow task.
    """
    return workflow.ActivityConfig(
        summary=summary,
        task_queue=task_queue,
        start_to_close_timeout=timedelta(minutes=5),
        heartbeat_timeout=workflow.info().task_timeout,
        retry_policy=_LEDGER_RETRY,
    )


def rail_call(summary: str) -> workflow.ActivityConfig:
    """A call that leaves the system. An unknown outcome is a result of it; only a lost worker repeats it."""
    return workflow.ActivityConfig(
        summary=summary, start_to_close_timeout=timedelta(seconds=30), retry_policy=_RAIL_RETRY
    )


def show(status: str, user: str, details: str) -> None:
    """Put where it stands on the web UI: the current details, and what it can be searched by."""
    workflow.set_current_details(details)
    known = workflow.info().typed_search_attributes
    wanted = [(STATUS, status), (USER, user)]
    changed = [key.value_set(value) for key, value in wanted if value and known.get(key) != value]
    if changed:
        workflow.upsert_search_attributes(changed)


STEP_FAILED = (ActivityError, ApplicationError)
"""What a step raises: a local activity its own error, a remote one the same inside an ActivityError."""


def refusal_of(error: ActivityError | ApplicationError) -> ApplicationError:
    """The domain's answer inside a failed step; any other failure is raised as it is."""
    inside = error.cause if isinstance(error, ActivityError) else error
    if isinstance(inside, ApplicationError) and inside.non_retryable:
        return inside
    raise error
