"""A worker process: the real workflow classes and activities, driven by activations as the SDK's core does.

A workflow instance is `temporalio.worker.UnsandboxedWorkflowRunner`'s own, so waits, timers and updates are the
SDK's. Results of local activities stay here until no more is under way; then the workflow task is reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payloads
from temporalio.bridge.proto.activity_result import ActivityResolution, DoBackoff
from temporalio.bridge.proto.activity_result import Failure as ActivityFailure
from temporalio.bridge.proto.activity_result import Success as ActivitySuccess
from temporalio.bridge.proto.workflow_activation import (
    NotifyHasPatch,
    RemoveFromCache,
    ResolveActivity,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import ScheduleLocalActivity, WorkflowCommand
from temporalio.common import Priority, TypedSearchAttributes
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails

from tests.simulation.chance import Chance
from tests.simulation.loop import PROCESS, Killed, Process, SimLoop
from tests.simulation.temporal import CONVERTER, TASK_TIMEOUT_S, Activation, Execution, Temporal, failed
from worker import WORKFLOWS

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_EPOCH_NS = int(EPOCH.timestamp()) * 10**9
HEARTBEAT_S = TASK_TIMEOUT_S * 0.8
_DEFINITIONS = {workflow._Definition.must_from_class(cls).name: cls for cls in WORKFLOWS}


class NotDeterministic(AssertionError):
    """A workflow that was run again on its history asked for something else."""


@dataclass(frozen=True)
class Mishaps:
    """Probabilities per activity: it runs a second time later on; it is done but said to have failed."""

    twice: float = 0.0
    forgotten: float = 0.0


@dataclass(eq=False)
class _Cached:
    """A workflow in a worker's memory. `seen` is how much of the history it knows."""

    execution: Execution
    instance: WorkflowInstance
    token: int
    seen: int
    unreported: list[Activation] = field(default_factory=list)
    local: set[int] = field(default_factory=set)
    dropped: bool = False


class Worker:
    """`activities`: the bound methods that worker.py registers, by name."""

    def __init__(
        self,
        loop: SimLoop,
        chance: Chance,
        process: Process,
        server: Temporal,
        activities: list[Callable[..., Any]],
        mishaps: Mishaps,
        tell: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._chance = chance
        self.process = process
        self._server = server
        self._activities = {_definition(act).name: act for act in activities}
        self.mishaps = mishaps
        self._tell = tell
        self._cache: dict[Execution, _Cached] = {}
        self._context = copy_context()
        self._context.run(PROCESS.set, process)

    def later(self, seconds: float, act: Callable[..., object], *args: Any) -> None:
        """As this process: not while it is stopped, never once it is dead."""

        def if_alive() -> None:
            if self.process.alive:
                act(*args)

        self._loop.call_later(seconds, if_alive, context=self._context)

    # --- workflow tasks ------------------------------------------------------------

    def begin(self, execution: Execution, token: int, jobs: list[WorkflowActivationJob]) -> None:
        """A workflow task. Where this process does not know the workflow this far, it is replayed first."""
        cached = self._cache.get(execution)
        if cached is None or cached.seen != len(execution.history) or cached.token:
            self._drop(execution)  # stale; or ours, given to us again because we took too long
            cached = self._cache[execution] = self._replayed(execution, token)
        cached.token = token
        if jobs:
            self._activate(cached, jobs)
        self.later(HEARTBEAT_S, self._heartbeat, cached, token)
        self._report_if_idle(cached)

    def _replayed(self, execution: Execution, token: int) -> _Cached:
        instance = _new_instance(execution)
        open_local: dict[int, ScheduleLocalActivity] = {}
        for past in execution.history:
            patches = [
                WorkflowActivationJob(notify_has_patch=NotifyHasPatch(patch_id=command.set_patch_marker.patch_id))
                for command in past.commands
                if command.HasField("set_patch_marker")
            ]
            commands = _commands(instance, past.at, [*patches, *past.jobs], replaying=True)
            if [_summary(c) for c in commands] != [_summary(c) for c in past.commands]:
                raise NotDeterministic(f"{execution.workflow_id}: {commands} was {past.commands}")
            for command in commands:
                if command.HasField("schedule_local_activity"):
                    open_local[command.schedule_local_activity.seq] = command.schedule_local_activity
            for job in past.jobs:
                if job.HasField("resolve_activity"):
                    open_local.pop(job.resolve_activity.seq, None)
        cached = _Cached(execution, instance, token, len(execution.history))
        for scheduled in open_local.values():
            self._start_local(cached, scheduled)
        return cached

    def _activate(self, cached: _Cached, jobs: list[WorkflowActivationJob]) -> None:
        now = self._loop.time()
        commands = _commands(cached.instance, now, jobs, replaying=False)
        cached.unreported.append(Activation(now, jobs, commands))
        for command in commands:
            if command.HasField("schedule_local_activity"):
                self._start_local(cached, command.schedule_local_activity)

    def _report_if_idle(self, cached: _Cached) -> None:
        if not cached.local:
            self._report(cached, more=False)

    def _heartbeat(self, cached: _Cached, token: int) -> None:
        if cached.token == token and cached.local and not cached.dropped:
            self._report(cached, more=True)

    def _report(self, cached: _Cached, *, more: bool) -> None:
        done, cached.unreported = cached.unreported, []
        token, cached.token = cached.token, 0
        if self._server.report(cached.execution, token, self, done, more):
            cached.seen += len(done)
        else:
            self._tell(f"{self.process}: too late with {cached.execution.workflow_id}")
            self._drop(cached.execution)
        if cached.execution.closed:
            self._drop(cached.execution)

    def _drop(self, execution: Execution) -> None:
        cached = self._cache.pop(execution, None)
        if cached is not None:
            cached.dropped = True
            evict = WorkflowActivationJob(remove_from_cache=RemoveFromCache())
            _commands(cached.instance, self._loop.time(), [evict], replaying=True)

    def forget_all(self) -> None:
        """At the end of a run: nothing of the workflows may linger."""
        for execution in list(self._cache):
            self._drop(execution)

    # --- activities ------------------------------------------------------------

    def _start_local(self, cached: _Cached, scheduled: ScheduleLocalActivity) -> None:
        cached.local.add(scheduled.seq)
        name = f"{cached.execution.workflow_id}:{scheduled.activity_type}"
        self._loop.spawn(self.process, self._run_local(cached, scheduled, name), name)

    async def _run_local(self, cached: _Cached, scheduled: ScheduleLocalActivity, name: str) -> None:
        resolution = await self._resolved_locally(scheduled, name)
        if not self.process.alive or cached.dropped:
            return
        cached.local.discard(scheduled.seq)
        resolve = ResolveActivity(seq=scheduled.seq, result=resolution, is_local=True)
        # Not from inside this task: the workflow is a loop of its own.
        self.later(0, self._local_done, cached, WorkflowActivationJob(resolve_activity=resolve))

    def _local_done(self, cached: _Cached, job: WorkflowActivationJob) -> None:
        if not cached.dropped:
            self._activate(cached, [job])
            if cached.token:
                self._report_if_idle(cached)

    async def _resolved_locally(self, scheduled: ScheduleLocalActivity, name: str) -> ActivityResolution:
        """Until it is known, in this process; a long wait between attempts becomes the workflow's."""
        policy = scheduled.retry_policy
        wait, most = policy.initial_interval.ToTimedelta(), policy.maximum_interval.ToTimedelta()
        threshold = scheduled.local_retry_threshold.ToTimedelta()
        attempt = max(scheduled.attempt, 1)
        wait = min(wait * 2 ** (attempt - 1), most)
        while True:
            error = None
            try:
                async with asyncio.timeout(scheduled.start_to_close_timeout.ToTimedelta().total_seconds()):
                    result = await self._call(scheduled.activity_type, scheduled.arguments, name)
                if not self._chance.strikes(f"forgotten@{name}", self.mishaps.forgotten):
                    return _succeeded(result)
            except (Exception, asyncio.CancelledError) as raised:
                error = raised
            if not self.process.alive:
                raise Killed(self.process.name)
            if isinstance(error, ApplicationError) and error.non_retryable:
                return ActivityResolution(failed=ActivityFailure(failure=failed(error)))
            if isinstance(error, AssertionError | TypeError | AttributeError | KeyError):
                raise error  # a bug is not the weather
            attempt, pause, wait = attempt + 1, wait, min(wait * 2, most)
            if pause > threshold:
                backoff = DoBackoff(attempt=attempt)
                backoff.backoff_duration.FromTimedelta(pause)
                backoff.original_schedule_time.FromDatetime(EPOCH)
                return ActivityResolution(backoff=backoff)
            await asyncio.sleep(pause.total_seconds())

    async def _call(self, activity_type: str, arguments: Any, name: str) -> Any:
        act = self._activities[activity_type]

        async def once() -> Any:
            return await act(*CONVERTER.from_payloads(list(arguments), _definition(act).arg_types))

        if self._chance.strikes(f"twice@{name}", self.mishaps.twice):
            delay_s = self._chance.between(f"again@{name}", 0.0, 2.0)
            self._loop.spawn(self.process, _late(once(), delay_s), f"{name} again")
        return await once()

    def remote(self, execution: Execution, command: WorkflowCommand, attempt: int) -> None:
        """An attempt of a remote activity."""
        name = f"{execution.workflow_id}:{command.schedule_activity.activity_type}"
        self._loop.spawn(self.process, self._run_remote(execution, command, attempt, name), name)

    async def _run_remote(self, execution: Execution, command: WorkflowCommand, attempt: int, name: str) -> None:
        scheduled = command.schedule_activity
        result = await self._call(scheduled.activity_type, scheduled.arguments, name)
        if self.process.alive:
            done = ResolveActivity(seq=scheduled.seq, result=_succeeded(result))
            self._loop.call_soon(self._server.remote_done, execution, scheduled.seq, attempt, done)


def _definition(act: Callable[..., Any]) -> activity._Definition:
    """The decorator's own; `must_from_callable` makes another one of it for each bound method."""
    found: activity._Definition = getattr(act, "__temporal_activity_definition")
    return found


async def _late(again: Coroutine[Any, Any, Any], delay_s: float) -> None:
    """A duplicate that nobody waits for: what it is told does not matter, what it does must not either."""
    try:
        await asyncio.sleep(delay_s)
        await again
    except (AssertionError, TypeError):
        raise
    except Exception:
        return
    finally:
        again.close()


def _succeeded(result: Any) -> ActivityResolution:
    return ActivityResolution(completed=ActivitySuccess(result=CONVERTER.to_payloads([result])[0]))


def _new_instance(execution: Execution) -> WorkflowInstance:
    info = workflow.Info(
        attempt=1, continued_run_id=None, cron_schedule=None, execution_timeout=None, first_execution_run_id="run",
        headers={}, namespace="sim", original_execution_run_id="run", parent=None, root=None, priority=Priority(),
        raw_memo={}, retry_policy=None, run_id="run", run_timeout=None, search_attributes={}, start_time=EPOCH,
        task_queue="sim", task_timeout=timedelta(seconds=TASK_TIMEOUT_S),
        typed_search_attributes=TypedSearchAttributes([]), workflow_id=execution.workflow_id,
        workflow_start_time=EPOCH, workflow_type=execution.workflow_type,
    )  # fmt: skip
    details = WorkflowInstanceDetails(
        payload_converter_factory=lambda: CONVERTER,
        failure_converter_class=type(pydantic_data_converter.failure_converter),
        interceptor_classes=[],
        defn=workflow._Definition.must_from_class(_DEFINITIONS[execution.workflow_type]),
        info=info,
        randomness_seed=1,
        # The real worker refuses activities it does not know; here an unknown one fails when it is called.
        extern_functions={"__temporal_assert_local_activity_valid": lambda _name: None},
        disable_eager_activity_execution=True,
        worker_level_failure_exception_types=[],
        patch_activation_callback=None,
        last_completion_result=Payloads(),
        last_failure=None,
    )
    return UnsandboxedWorkflowRunner().create_instance(details)


def _commands(
    instance: WorkflowInstance, at: float, jobs: list[WorkflowActivationJob], *, replaying: bool
) -> list[WorkflowCommand]:
    """One activation. The instance is an event loop and leaves none behind as the running one: ours goes on."""
    activation = WorkflowActivation(run_id="run", is_replaying=replaying, jobs=jobs)
    activation.timestamp.FromNanoseconds(_EPOCH_NS + int(at * 1e6) * 1000)
    ours = asyncio._get_running_loop()
    try:
        completion = instance.activate(activation)
    finally:
        asyncio._set_running_loop(ours)
    if completion.HasField("failed"):
        raise AssertionError(f"a workflow task failed: {completion.failed.failure.message}")
    return list(completion.successful.commands)


def _summary(command: WorkflowCommand) -> tuple[str, str]:
    kind = command.WhichOneof("variant") or ""
    match kind:
        case "schedule_local_activity" | "schedule_activity":
            scheduled = getattr(command, kind)
            return kind, f"{scheduled.seq} {scheduled.activity_type}"
        case _:
            return kind, ""
