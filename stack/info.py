"""What is known of a running stack, and the state file `<data dir>/stack.json` it is published in."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from stack.files import write_private
from stack.process import Identity


class StackInfo(BaseModel):
    """How to reach each part. `up --json` and `status --json` print this.

    `database`, `projector_database` and `read_database` are URLs of the application's, the projector's and the
    read-only role; `admin_database` may migrate. `temporal` is `host:port`. Empty text means: there is none.
    """

    api: str = ""
    api_key: str = ""
    temporal: str = ""
    temporal_ui: str = ""
    database: str = ""
    projector_database: str = ""
    read_database: str = ""
    admin_database: str = ""
    processes: dict[str, list[int]] = Field(default_factory=dict)


class ProcessRecord(BaseModel):
    """A process of the stack: which part it is, its number, and when it was started (see `Identity`)."""

    part: str
    pid: int
    started: str

    @property
    def identity(self) -> Identity:
        """For finding the process without mistaking another for it."""
        return Identity(self.pid, self.started)


class StackState(BaseModel):
    """The state file: who supervises, what runs, and, once everything is ready, how to reach it."""

    supervisor: ProcessRecord
    children: list[ProcessRecord] = Field(default_factory=list)
    ready: bool = False
    info: StackInfo = Field(default_factory=StackInfo)

    @staticmethod
    def path(data_dir: Path) -> Path:
        """Where the state file of a data directory is."""
        return data_dir.resolve() / "stack.json"

    @classmethod
    def read(cls, data_dir: Path) -> StackState | None:
        """The state last written, whether its processes still live or not; None without a readable file."""
        try:
            return cls.model_validate_json(cls.path(data_dir).read_text())
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, data_dir: Path) -> None:
        """Publish, for the owner only: the file holds passwords."""
        write_private(self.path(data_dir), self.model_dump_json(indent=1))


def running_pid(data_dir: Path) -> int | None:
    """The supervisor's pid if one runs on this data directory, ready or still starting; else None."""
    state = StackState.read(data_dir)
    return state.supervisor.pid if state and state.supervisor.identity.process() else None


def read_info(data_dir: Path) -> StackInfo | None:
    """How to reach the stack on this data directory; None while none is running and ready."""
    state = StackState.read(data_dir)
    if state is None or not state.ready or state.supervisor.identity.process() is None:
        return None
    return state.info
