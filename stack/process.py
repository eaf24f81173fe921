"""One child process: started in a session of its own, known by pid and start time, stopped step by step."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from stack.errors import PartUnavailable
from stack.files import keep_log_small

_LAUNCH = Path(__file__).with_name("launch.py")
_START_TICKS = 19  # proc(5): `starttime` is field 22; the fields behind the name begin with the third


def _started(pid: int) -> str:
    """When a process began, in a form only to be compared.

    On Linux this is the boot and the kernel's ticks since then: a time of day would move with every step of the
    machine's clock, and a running stack would seem gone. Raises OSError or psutil.Error when there is no such
    process.
    """
    if sys.platform != "linux":
        return f"{psutil.Process(pid).create_time():.0f}"
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {after_name[_START_TICKS]}"


@dataclass(frozen=True)
class Identity:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The identity of a running process, None when there is none."""
        try:
            return cls(pid, _started(pid))
        except (OSError, psutil.Error):
            return None

    def process(self) -> psutil.Process | None:
        """The process itself, None once it is gone (a zombie is gone) or another one has its number."""
        try:
            process = psutil.Process(self.pid)
            if self.of(self.pid) != self or process.status() == psutil.STATUS_ZOMBIE:
                return None
            return process
        except psutil.Error:
            return None


@dataclass(frozen=True)
class Account:
    """A system account to run as instead of root."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Command:
    """What to run and how.

    `stop_signals` are pairs of a signal and the seconds to wait after it, sent in turn; SIGKILL follows by itself.
    `death_signal` is what the process gets when the supervisor dies without stopping it (Linux only).
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    cwd: Path | None = None
    account: Account | None = None
    reach: Sequence[Path] = ()
    death_signal: signal.Signals = signal.SIGTERM
    stop_signals: Sequence[tuple[signal.Signals, float]] = field(default=((signal.SIGTERM, 15.0),))


def launcher(account: Account | None, reach: Sequence[Path], death_signal: int) -> list[str]:
    """The words in front of a command that make it run under `account` and die with this process."""
    orders = {
        "parent": os.getpid(),
        "death_signal": death_signal,
        "account": [account.uid, account.gid] if account else None,
        "reach": [str(path) for path in reach],
    }
    return [sys.executable, "-I", "-S", str(_LAUNCH), json.dumps(orders)]


class Child:
    """A started `Command`. Start children from one thread that lives as long as they shall:
    the kernel sends the death signal when the thread that started them ends.
    """

    def __init__(self, command: Command) -> None:
        self._command = command
        program = shutil.which(command.argv[0])
        if program is None:
            raise PartUnavailable(Path(command.argv[0]).name, "there is no such program")
        command.log.parent.mkdir(parents=True, exist_ok=True)
        keep_log_small(command.log)
        prefix = launcher(command.account, command.reach, command.death_signal)
        with command.log.open("ab") as log:
            self._popen = subprocess.Popen(
                [*prefix, program, *command.argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(command.env),
                cwd=command.cwd,
                start_new_session=True,
            )
        self._asked = False
        self.started_at = time.monotonic()
        self.identity = Identity.of(self._popen.pid) or Identity(self._popen.pid, "")

    @property
    def pid(self) -> int:
        """Process number; also its session's and process group's."""
        return self._popen.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._popen.poll()

    def begin_stop(self) -> None:
        """Send the first of the stop signals, once, and do not wait; `stop` goes on from there."""
        if self._asked or not self._command.stop_signals:
            return
        self._asked = True
        self._popen.send_signal(self._command.stop_signals[0][0])

    def stop(self, hurry: bool = False) -> None:
        """End it and whatever it left in its process group, politely first unless in a hurry. Bounded in time."""
        steps = () if hurry else self._command.stop_signals
        for index, (number, wait_s) in enumerate(steps):
            if self._popen.poll() is not None:
                break
            if index == 0:
                self.begin_stop()
            else:
                self._popen.send_signal(number)
            try:
                self._popen.wait(wait_s)
            except subprocess.TimeoutExpired:
                continue
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole process group, then collect the process."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: no permission to signal zombies
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
