"""What can go wrong with the local stack.

StackError
├── AlreadyRunning     another supervisor holds this data directory
├── PartUnavailable    a part did not start, or cannot be reached; says where its log is
└── StartInterrupted   told to stop before everything was up
"""

from __future__ import annotations

from pathlib import Path


class StackError(Exception):
    """Something about the local stack that its user can act on; the message is one line that says how."""

    code = "stack_error"


class AlreadyRunning(StackError):
    """The data directory belongs to a running stack. `pid` is its supervisor's, 0 when it could not be told."""

    code = "stack_already_running"

    def __init__(self, data_dir: Path, pid: int) -> None:
        self.data_dir = data_dir
        self.pid = pid
        super().__init__(f"already running, pid {pid} (data in {data_dir}); use it as it is, or stop it first")


class PartUnavailable(StackError):
    """A part did not start or does not answer. `part` is its name, for instance `postgres`."""

    code = "stack_part_unavailable"

    def __init__(self, part: str, why: str) -> None:
        self.part = part
        super().__init__(f"{part}: {why}")


class StartInterrupted(StackError):
    """A start was stopped on request, for instance while the Temporal server was being built."""

    code = "stack_start_interrupted"
