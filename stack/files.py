"""Files the stack keeps: written whole or not at all, private, locked, and never growing without a limit."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOG_LIMIT_BYTES = 16 * 1024 * 1024


def write_private(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, readable by its owner only."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:  # mkstemp makes the file 0600
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class FileLock:
    """A lock that the operating system drops when its holder dies, however it dies. Works between processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock without waiting; False when somebody else holds it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        """Give the lock back; without it, nothing happens. The file stays: removing it would race."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    @contextmanager
    def held(self, while_waiting: Callable[[], None], poll_s: float = 0.2) -> Iterator[None]:
        """Wait for the lock, calling `while_waiting` at every try in vain (it may raise to give up)."""
        while not self.try_acquire():
            while_waiting()
            time.sleep(poll_s)
        try:
            yield
        finally:
            self.release()


def keep_log_small(log: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
    """Move a log past the limit to `<name>.1` (one old copy is kept) and empty it in place.

    Emptied rather than renamed, because a running process goes on writing to the same file (it appends).
    """
    try:
        if log.stat().st_size <= limit_bytes:
            return
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)
    except FileNotFoundError:
        return


def tail(log: Path, lines: int = 5, within_bytes: int = 8192) -> str:
    """The last lines of a log as one string, for an error message; empty when there is none."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - within_bytes))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])
