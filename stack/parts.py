"""What a stack consists of: its configuration, and our own processes as the supervisor sees them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stack.info import StackInfo
from stack.ports import LOOPBACK
from stack.process import Child, Command
from stack.progress import Progress, no_progress
from stack.temporal import SEARCH_ATTRIBUTES

Role = Literal["app", "projector", "reader", "admin"]


@dataclass(frozen=True)
class ProcessSpec:
    """One of our own programs: which part it is, how to run it, how many of it, and as which database role.

    It gets `DATABASE_URL` (of its role, and of no other that writes), `TIDEMARK_READ_DATABASE_URL`,
    `TEMPORAL_ADDRESS` and `TIDEMARK_READY_FILE`, a file it creates once it is ready, within `ready_s` seconds at
    the first start. SIGTERM asks it to finish what it does; SIGKILL follows after `stop_s` seconds.
    """

    part: str
    argv: Sequence[str]
    count: int = 1
    role: Role = "app"
    env: Mapping[str, str] = field(default_factory=dict)
    stop_s: float = 15.0
    ready_s: float = 60.0
    port_variable: str = ""
    """Of a program that serves HTTP: the variable that tells it its port."""
    retries_views: bool = False
    """It is also told `TIDEMARK_PROJECTOR_DATABASE_URL`, for taking into a view what was parked."""


def own_processes(workers: int = 1, projectors: int = 1) -> list[ProcessSpec]:
    """The workers, the projectors and the API of this checkout, run by the Python that runs us."""
    root = Path(__file__).parent.parent
    starter = [sys.executable, str(root / "starter.py")]
    return [
        ProcessSpec("projector", [sys.executable, str(root / "projector.py")], projectors, "projector"),
        ProcessSpec("worker", [sys.executable, str(root / "worker.py")], workers, "app"),
        ProcessSpec(
            "api",
            [*starter, "api", "--host", LOOPBACK],
            stop_s=30.0,
            port_variable="TIDEMARK_API__PORT",
            retries_views=True,
        ),
    ]


@dataclass(frozen=True)
class StackConfig:
    """What to run and where.

    `env` is the environment of everything (`DATABASE_URL` and `TEMPORAL_ADDRESS` in it replace the embedded
    Postgres and the local Temporal server). `migrate` is given the admin URL once Postgres is up, `prepare` the
    addresses and the API key after that. `processes` start in order then and stop all together.
    `durable=False` is for throw-away stacks in tests.
    """

    data_dir: Path
    processes: Sequence[ProcessSpec] = field(default_factory=own_processes)
    migrate: Callable[[str], None] | None = None
    prepare: Callable[[StackInfo], None] | None = None
    on_progress: Progress = no_progress
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    search_attributes: Mapping[str, str] = field(default_factory=lambda: dict(SEARCH_ATTRIBUTES))
    durable: bool = True


class OwnProcess:
    """One running copy of a `ProcessSpec`, as a part the supervisor can start, watch and stop."""

    def __init__(self, spec: ProcessSpec, index: int, config: StackConfig, info: StackInfo, port: int = 0) -> None:
        self.name = spec.part
        self._spec = spec
        data_dir = config.data_dir.resolve()
        label = f"{spec.part}-{index}"
        self.log = data_dir / "logs" / f"{label}.log"
        self.ready_s = spec.ready_s
        self._ready_file = data_dir / "run" / f"{label}.ready"
        database = {
            "app": info.database,
            "projector": info.projector_database,
            "reader": info.read_database,
            "admin": info.admin_database,
        }[spec.role]
        retries = spec.role == "projector" or spec.retries_views
        own = {
            "TIDEMARK_DATABASE_URL": database,
            "DATABASE_URL": database,
            "TIDEMARK_PROJECTOR_DATABASE_URL": info.projector_database if retries else "",
            "TIDEMARK_READ_DATABASE_URL": info.read_database,
            "TEMPORAL_ADDRESS": info.temporal,
            "TIDEMARK_READY_FILE": str(self._ready_file),
            "PYTHONUNBUFFERED": "1",
        }
        if spec.port_variable:
            own[spec.port_variable] = str(port)
        self._env = {**_surroundings(config.env), **own, **spec.env}
        self._child: Child | None = None

    @property
    def child(self) -> Child | None:
        """The running process, None before the first start."""
        return self._child

    def launch(self) -> None:
        """Start a new process, without waiting until it is ready."""
        self._ready_file.parent.mkdir(parents=True, exist_ok=True)
        self._ready_file.unlink(missing_ok=True)
        stop = ((signal.SIGTERM, self._spec.stop_s),)
        self._child = Child(Command(argv=self._spec.argv, env=self._env, log=self.log, stop_signals=stop))

    def ready(self) -> bool:
        """Whether it said so."""
        return self._ready_file.exists()

    def begin_stop(self) -> None:
        """Ask it to finish, without waiting."""
        if self._child is not None:
            self._child.begin_stop()

    def stop(self, hurry: bool = False) -> None:
        """Let it finish, within its time; at once in a hurry."""
        if self._child is not None:
            self._child.stop(hurry)
        self._ready_file.unlink(missing_ok=True)


def _surroundings(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of our processes. The user's profiles, keys and TLS for some other Temporal server are kept
    from a server of ours, which would refuse them.
    """
    if env.get("TEMPORAL_ADDRESS"):
        return dict(env)
    kept = {key: value for key, value in env.items() if not key.startswith("TEMPORAL_")}
    return {**kept, "TEMPORAL_CONFIG_FILE": os.devnull}
