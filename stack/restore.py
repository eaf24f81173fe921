"""Brings the embedded Postgres back to a moment, from what `stack.backup` has kept.

The cluster that is there is set aside, not removed; its last, not yet archived WAL is used too, so that without a
target nothing that was committed is missing.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from stack.backup import BackupError, BaseBackup, base_backups, run_program
from stack.errors import AlreadyRunning, PartUnavailable
from stack.files import FileLock
from stack.info import running_pid
from stack.leftovers import end_leftovers
from stack.postgres import PostgresServer, account_of, program
from stack.progress import Progress, no_progress

RECOVERY_LIMIT_S = 24 * 3600

T = TypeVar("T")


@dataclass(frozen=True)
class Restored(Generic[T]):
    """`base`: the base backup it began with. `reached`: whether anything later than the moment asked for was there
    to leave out. `aside`: where what was there before is now. `seen`: what `look` saw.
    """

    base: datetime
    reached: bool
    aside: tuple[Path, ...]
    seen: T


def restore(
    data_dir: Path,
    directory: Path,
    look: Callable[[str], T],
    to: datetime | None = None,
    *,
    forget_workflows: bool = False,
    progress: Progress = no_progress,
) -> Restored[T]:
    """The database as of `to`, or of the last thing that was kept; `look` is given its admin URL.

    Commits up to and including `to` are there. Temporal's own data stays as it is, or is set aside where workflows
    shall be forgotten. Raises AlreadyRunning, BackupError; what was there is then in its place again.
    """
    data_dir, directory = data_dir.resolve(), directory.resolve()
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(data_dir / "stack.lock")
    if not lock.try_acquire():
        raise AlreadyRunning(data_dir, running_pid(data_dir) or 0)
    try:
        end_leftovers(data_dir, progress)
        timeline = _timeline(data_dir / "postgres")
        base = _choose(directory, to, timeline)
        progress("restore", "checking the base backup")
        run_program("pg_verifybackup", "--quiet", str(base.path))
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        folders = ["postgres", *(["temporal"] if forget_workflows else [])]
        aside = _set_aside(data_dir, folders, f"before-{stamp}")
        try:
            progress("restore", "copying the base backup")
            _put_base(data_dir, directory, base)
            progress("restore", "replaying what was written since")
            recovery = _Recovery(data_dir, _settings(directory, aside.get("postgres"), timeline))
            reached, seen = recovery.run(look, to)
        except BaseException:
            _put_back(data_dir, aside)
            raise
    finally:
        lock.release()
    return Restored(base.finished_at, reached, tuple(aside.values()), seen)


def _timeline(cluster: Path) -> int | None:
    """Which of its histories the cluster that is there has lived: every restore begins a new one."""
    if not cluster.exists():
        return None
    said = subprocess.run(
        [program("pg_controldata"), str(cluster)], capture_output=True, text=True, timeout=60, check=False
    ).stdout
    found = re.search(r"Latest checkpoint's TimeLineID:\s+(\d+)", said)
    return None if found is None else int(found[1])


def _choose(directory: Path, to: datetime | None, timeline: int | None) -> BaseBackup:
    """The latest that is old enough, and of no later history."""
    backups = [x for x in base_backups(directory) if timeline is None or int(x.first_segment[:8], 16) <= timeline]
    if not backups:
        raise BackupError(f"{directory} holds no finished backup of this cluster")
    fitting = [backup for backup in backups if to is None or backup.finished_at <= to]
    if not fitting:
        raise BackupError(f"the oldest moment to restore is {backups[0].finished_at.isoformat()}")
    return fitting[-1]


def _set_aside(data_dir: Path, folders: list[str], suffix: str) -> dict[str, Path]:
    aside = {}
    for name in folders:
        if (data_dir / name).exists():
            aside[name] = (data_dir / name).rename(data_dir / f"{name}.{suffix}")
    return aside


def _put_back(data_dir: Path, aside: dict[str, Path]) -> None:
    shutil.rmtree(data_dir / "postgres", ignore_errors=True)
    for name, path in aside.items():
        path.rename(data_dir / name)


def _put_base(data_dir: Path, directory: Path, base: BaseBackup) -> None:
    cluster, coming = data_dir / "postgres", data_dir / "postgres.new"
    shutil.rmtree(coming, ignore_errors=True)
    account = account_of(cluster)
    shutil.copytree(base.path, coming, symlinks=True)
    (coming / "recovery.signal").touch()
    coming.chmod(0o700)
    if account is not None:
        for path in (coming, *coming.rglob("*")):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    coming.rename(cluster)
    # The cluster comes back with the passwords it had.
    shutil.copyfile(directory / "secrets.json", data_dir / "secrets.json")
    os.chmod(data_dir / "secrets.json", 0o600)


def _settings(directory: Path, before: Path | None, timeline: int | None) -> dict[str, str]:
    sources = [directory / "wal", *([before / "pg_wal"] if before is not None else [])]
    get = " || ".join(f"cp {shlex.quote(str(source)).replace('%', '%%')}/%f %p" for source in sources)
    return {
        "restore_command": f"({get}) 2>/dev/null",
        "recovery_target_timeline": "latest" if timeline is None else str(timeline),
        "recovery_target_action": "promote",
        "hot_standby": "off",  # nobody gets in before it is done
    }


@dataclass(frozen=True)
class _Recovery:
    """Runs the server until it has replayed what it should and is a server of its own."""

    data_dir: Path
    settings: Mapping[str, str]

    def run(self, look: Callable[[str], T], to: datetime | None) -> tuple[bool, T]:
        """Whether there was anything after `to`, and what `look` saw."""
        if to is None:
            return True, self._once(look, {})
        try:
            return True, self._once(look, {"recovery_target_time": to.astimezone(UTC).isoformat(sep=" ")})
        except _NothingLater:
            return False, self._once(look, {})

    def _once(self, look: Callable[[str], T], target: Mapping[str, str]) -> T:
        settings = {**self.settings, **target}
        server = PostgresServer(self.data_dir, settings=settings, start_limit_s=RECOVERY_LIMIT_S)
        begins = server.log.stat().st_size if server.log.exists() else 0
        try:
            server.start()
            return look(server.admin_url)
        except PartUnavailable as error:
            said = server.log.read_bytes()[begins:].decode("utf-8", "replace")
            if "before configured recovery target was reached" in said:
                raise _NothingLater from None
            raise BackupError(f"the database could not be recovered: {error}") from error
        finally:
            server.stop()


class _NothingLater(Exception):
    """All there is was replayed, and none of it is later than the target."""
