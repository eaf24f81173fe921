"""A Temporal server that is not there: durable histories, workflow tasks with tokens, timers, remote activities.

Faithful where it matters for money: what a worker has not reported is lost with it; a task that is not completed
in time is given to another worker, while the first may still be at work on it; its report is then refused.
Messages (signals, updates, cancellations, fired timers) reach a workflow with its next task.
The other side is worker.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.bridge.proto.child_workflow import StartChildWorkflowExecutionFailedCause
from temporalio.bridge.proto.workflow_activation import (
    CancelWorkflow,
    DoUpdate,
    FireTimer,
    InitializeWorkflow,
    ResolveActivity,
    ResolveChildWorkflowExecutionStart,
    ResolveChildWorkflowExecutionStartFailure,
    ResolveChildWorkflowExecutionStartSuccess,
    ResolveSignalExternalWorkflow,
    SignalWorkflow,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import (
    SignalExternalWorkflowExecution,
    StartChildWorkflowExecution,
    WorkflowCommand,
)
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter

from tests.simulation.chance import Chance
from tests.simulation.loop import SimLoop

if TYPE_CHECKING:
    from tests.simulation.worker import Worker

TASK_TIMEOUT_S = 10.0
CONVERTER = PydanticPayloadConverter()
"""pydantic_data_converter's, without a look for types that convert themselves: there are none among ours."""


@dataclass(frozen=True)
class Activation:
    """What a workflow was told at once, and what it asked for then: a piece of history."""

    at: float
    jobs: list[WorkflowActivationJob]
    commands: list[WorkflowCommand]


@dataclass(eq=False)
class Execution:
    """One run of a workflow, as the server knows it. `token` is that of the latest workflow task."""

    workflow_id: str
    workflow_type: str
    arguments: Sequence[Payload]
    history: list[Activation] = field(default_factory=list)
    messages: deque[WorkflowActivationJob] = field(default_factory=deque)
    token: int = 0
    taken: list[WorkflowActivationJob] | None = None
    """The messages of the open task; None: no task is open."""
    sticky: Worker | None = None
    timers: set[int] = field(default_factory=set)
    attempts: dict[int, int] = field(default_factory=dict)
    """Remote activities under way, by number: which attempt counts."""
    updates: dict[str, str] = field(default_factory=dict)
    """By id: admitted, accepted, then answered. One only admitted when the workflow ends fails for its client."""
    closed: str | None = None


class Temporal:
    """`workers` may be killed, stopped and added to at any time."""

    def __init__(self, loop: SimLoop, chance: Chance, tell: Callable[[str], None]) -> None:
        self._loop = loop
        self._chance = chance
        self._tell = tell
        self.workers: list[Worker] = []
        self.executions: dict[str, Execution] = {}

    # --- clients ------------------------------------------------------------

    def start(self, workflow_type: str, workflow_id: str, *args: Any) -> bool:
        """False where one of that id runs, or has completed."""
        old = self.executions.get(workflow_id)
        if old is not None and old.closed not in ("failed", "terminated"):
            return False
        self._run(workflow_type, workflow_id, CONVERTER.to_payloads(args))
        return True

    def restart(self, workflow_id: str) -> None:
        """A new run of a workflow that is over, with what it was first given."""
        old = self.executions[workflow_id]
        assert old.closed is not None
        self._run(old.workflow_type, workflow_id, old.arguments)

    def _run(self, workflow_type: str, workflow_id: str, arguments: Sequence[Payload]) -> None:
        execution = Execution(workflow_id, workflow_type, arguments)
        self.executions[workflow_id] = execution
        initialize = InitializeWorkflow(workflow_type=workflow_type, workflow_id=workflow_id, arguments=arguments)
        self._message(execution, WorkflowActivationJob(initialize_workflow=initialize))

    def running(self, workflow_id: str) -> Execution | None:
        execution = self.executions.get(workflow_id)
        return execution if execution is not None and execution.closed is None else None

    def signal(self, workflow_id: str, name: str, wish: Any) -> None:
        if (execution := self.running(workflow_id)) is not None:
            told = SignalWorkflow(signal_name=name, input=CONVERTER.to_payloads([wish]))
            self._message(execution, WorkflowActivationJob(signal_workflow=told))

    def update(self, workflow_id: str, name: str, wish: Any) -> None:
        """Nobody waits for the answer; that there is one in the end, `unanswered` tells."""
        if (execution := self.running(workflow_id)) is not None:
            update_id = f"{name}-{wish.wish_id}"
            if update_id in execution.updates:
                return
            execution.updates[update_id] = "admitted"
            told = DoUpdate(
                id=update_id,
                protocol_instance_id=update_id,
                name=name,
                input=CONVERTER.to_payloads([wish]),
                run_validator=True,
            )
            self._message(execution, WorkflowActivationJob(do_update=told))

    def cancel(self, workflow_id: str) -> None:
        if (execution := self.running(workflow_id)) is not None:
            self._message(execution, WorkflowActivationJob(cancel_workflow=CancelWorkflow()))

    def terminate(self, workflow_id: str) -> None:
        """The server forgets the run. What its worker is in the middle of goes on."""
        if (execution := self.running(workflow_id)) is not None:
            execution.closed = "terminated"

    def unanswered(self) -> list[str]:
        """Updates that a workflow took and ended without answering."""
        return [
            f"{execution.workflow_id} {update_id}"
            for execution in self.executions.values()
            if execution.closed in ("completed", "failed")
            for update_id, stage in execution.updates.items()
            if stage == "accepted"
        ]

    # --- workflow tasks ------------------------------------------------------------

    def _message(self, execution: Execution, job: WorkflowActivationJob) -> None:
        execution.messages.append(job)
        self._task_if_due(execution)

    def _task_if_due(self, execution: Execution, force: bool = False) -> None:
        if execution.closed or execution.taken is not None or not (execution.messages or force):
            return
        alive = [worker for worker in self.workers if worker.process.alive]
        if not alive:
            self._loop.call_later(1.0, self._task_if_due, execution, force)
            return
        worker = execution.sticky
        if worker is None or not worker.process.alive:
            worker = self._chance.one_of("task-to", alive)
        execution.token += 1
        execution.taken = list(execution.messages)
        execution.messages.clear()
        deliver_s = self._chance.between("task-in", 0.0005, 0.005)
        worker.later(deliver_s, worker.begin, execution, execution.token, list(execution.taken))
        self._loop.call_later(TASK_TIMEOUT_S, self._timed_out, execution, execution.token)

    def _timed_out(self, execution: Execution, token: int) -> None:
        if execution.token != token or execution.taken is None or execution.closed:
            return
        self._tell(f"{execution.workflow_id}: its workflow task timed out")
        execution.messages.extendleft(reversed(execution.taken))
        execution.taken, execution.sticky = None, None
        self._task_if_due(execution)

    def report(
        self, execution: Execution, token: int, worker: Worker, done: list[Activation], more: bool = False
    ) -> bool:
        """A workflow task is completed: history grows. False where it is nobody's task any more.

        `more`: local activities are still under way; the worker gets its next task at once (a heartbeat).
        """
        if execution.token != token or execution.taken is None or execution.closed:
            return False
        execution.history += done
        execution.taken, execution.sticky = None, worker
        for activation in done:
            for command in activation.commands:
                self._obey(execution, command)
        self._task_if_due(execution, force=more)
        return True

    def _obey(self, execution: Execution, command: WorkflowCommand) -> None:
        match command.WhichOneof("variant"):
            case "start_timer":
                seq = command.start_timer.seq
                execution.timers.add(seq)
                wait_s = command.start_timer.start_to_fire_timeout.ToNanoseconds() / 1e9
                self._loop.call_later(wait_s, self._fire, execution, seq)
            case "cancel_timer":
                execution.timers.discard(command.cancel_timer.seq)
            case "schedule_activity":
                self._start_remote(execution, command)
            case "start_child_workflow_execution":
                self._start_child(execution, command.start_child_workflow_execution)
            case "signal_external_workflow_execution":
                self._signal_from(execution, command.signal_external_workflow_execution)
            case "update_response":
                response = command.update_response
                stage = response.WhichOneof("response")
                execution.updates[response.protocol_instance_id] = (
                    "accepted" if stage == "accepted" else "answered"
                )
            case "complete_workflow_execution":
                self._close(execution, "completed")
            case "fail_workflow_execution":
                self._close(execution, "failed")
            case _:
                pass

    def _start_child(self, parent: Execution, asked: StartChildWorkflowExecution) -> None:
        """One that outlives its parent, who only learns that it has started, or that it runs already."""
        start = ResolveChildWorkflowExecutionStart(seq=asked.seq)
        if self.running(asked.workflow_id) is not None:
            cause = StartChildWorkflowExecutionFailedCause
            start.failed.CopyFrom(
                ResolveChildWorkflowExecutionStartFailure(
                    workflow_id=asked.workflow_id,
                    workflow_type=asked.workflow_type,
                    cause=cause.START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS,
                )
            )
        else:
            self._run(asked.workflow_type, asked.workflow_id, list(asked.input))
            start.succeeded.CopyFrom(ResolveChildWorkflowExecutionStartSuccess(run_id="run"))
        self._message(parent, WorkflowActivationJob(resolve_child_workflow_execution_start=start))

    def _signal_from(self, sender: Execution, asked: SignalExternalWorkflowExecution) -> None:
        done = ResolveSignalExternalWorkflow(seq=asked.seq)
        receiver = self.running(asked.workflow_execution.workflow_id)
        if receiver is None:
            none_runs = Failure(message="no such workflow runs", application_failure_info=ApplicationFailureInfo())
            done.failure.CopyFrom(none_runs)
        else:
            told = SignalWorkflow(signal_name=asked.signal_name, input=list(asked.args))
            self._message(receiver, WorkflowActivationJob(signal_workflow=told))
        self._message(sender, WorkflowActivationJob(resolve_signal_external_workflow=done))

    def _close(self, execution: Execution, how: str) -> None:
        execution.closed = how
        self._tell(f"{execution.workflow_id}: workflow {how}")

    def _fire(self, execution: Execution, seq: int) -> None:
        if seq in execution.timers and not execution.closed:
            execution.timers.discard(seq)
            self._message(execution, WorkflowActivationJob(fire_timer=FireTimer(seq=seq)))

    # --- remote activities ------------------------------------------------------------

    def _start_remote(self, execution: Execution, command: WorkflowCommand) -> None:
        seq = command.schedule_activity.seq
        attempt = execution.attempts[seq] = execution.attempts.get(seq, 0) + 1
        alive = [worker for worker in self.workers if worker.process.alive]
        if alive and not execution.closed:
            worker = self._chance.one_of("activity-to", alive)
            worker.later(0.001, worker.remote, execution, command, attempt)
        timeout_s = command.schedule_activity.start_to_close_timeout.ToNanoseconds() / 1e9 if alive else 1.0
        self._loop.call_later(timeout_s, self._remote_timed_out, execution, command, attempt)

    def _remote_timed_out(self, execution: Execution, command: WorkflowCommand, attempt: int) -> None:
        if execution.attempts.get(command.schedule_activity.seq) == attempt and not execution.closed:
            self._start_remote(execution, command)

    def remote_done(self, execution: Execution, seq: int, attempt: int, done: ResolveActivity) -> None:
        """Only the latest attempt's result counts."""
        if execution.attempts.get(seq) == attempt and not execution.closed:
            del execution.attempts[seq]
            self._message(execution, WorkflowActivationJob(resolve_activity=done))


def failed(error: BaseException) -> Failure:
    """An exception as it travels."""
    failure = Failure()
    pydantic_data_converter.failure_converter.to_failure(error, CONVERTER, failure)
    return failure
