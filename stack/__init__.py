"""The local stack: an embedded Postgres, a local Temporal server, and a supervisor for them and our own processes.

Knows nothing of payments: what to run, how to migrate and which files to watch come in through `StackConfig`.
It is for one machine and one user; docker-compose.yml is the same topology in containers.

    with stack.up(StackConfig(data_dir=Path(".data"), migrate=migrate)) as running:
        print(running.info.temporal_ui)
        running.wait()
"""

from stack.backup import BackupError, BaseBackup, back_up, base_backups
from stack.control import crash
from stack.errors import AlreadyRunning, PartUnavailable, StackError
from stack.info import StackInfo, read_info, running_pid
from stack.parts import ProcessSpec, StackConfig, own_processes
from stack.progress import Progress, console_progress
from stack.restore import Restored, restore
from stack.supervisor import Stack, up

__all__ = [
    "AlreadyRunning",
    "BackupError",
    "BaseBackup",
    "PartUnavailable",
    "ProcessSpec",
    "Progress",
    "Restored",
    "Stack",
    "StackConfig",
    "StackError",
    "StackInfo",
    "back_up",
    "base_backups",
    "console_progress",
    "crash",
    "own_processes",
    "read_info",
    "restore",
    "running_pid",
    "up",
]
