"""Physical backups of the embedded Postgres: base backups, and the WAL between them, in one directory.

    DIR/base/20261124T031500Z/   a base backup (pg_basebackup), verified by its manifest
    DIR/base/20261124T031500Z.json   when it was finished, and whose it is
    DIR/wal/                     every segment of WAL finished since the first of them
    DIR/secrets.json             the passwords the restored cluster will ask for

Together they are the database at any moment from the first base backup's end on.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from stack.errors import StackError
from stack.files import write_private
from stack.postgres import account_of, archive_link, program
from stack.progress import Progress, no_progress

ARCHIVED_LIMIT_S = 60.0
PROGRAM_LIMIT_S = 24 * 3600


class BackupError(StackError):
    """A backup was not made, or cannot be used; the message says why."""

    code = "backup_failed"


@dataclass(frozen=True)
class BaseBackup:
    """One base backup. `finished_at`: no earlier moment can be restored from it. `cluster`: Postgres's own name
    for the cluster it is of. `first_segment`: the oldest WAL that restoring it needs.
    """

    path: Path
    finished_at: datetime
    cluster: str
    first_segment: str

    @property
    def size_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def base_backups(directory: Path) -> list[BaseBackup]:
    """Those that were finished, oldest first."""
    found = []
    for note in sorted((directory / "base").glob("*.json")):
        written = json.loads(note.read_text())
        at = datetime.fromisoformat(written["finished_at"])
        found.append(BaseBackup(note.with_suffix(""), at, written["cluster"], written["first_segment"]))
    return found


def back_up(
    data_dir: Path, admin_url: str, directory: Path, keep: int | None = None, progress: Progress = no_progress
) -> BaseBackup:
    """A base backup of the running stack on `data_dir`, and from now on its WAL too. Reads and writes go on.

    `keep`: how many base backups to keep; older ones and the WAL only they need are removed. Raises BackupError.
    """
    if not (data_dir / "postgres").exists():
        raise BackupError(f"{data_dir} has no Postgres of its own: back up the one of DATABASE_URL where it lives")
    directory = directory.resolve()
    with psycopg.connect(admin_url, autocommit=True) as connection:
        cluster = _one(connection, "SELECT system_identifier::text FROM pg_control_system()")
        _prepare(data_dir, directory, cluster)
        progress("backup", "copying the database")
        made = _base_backup(admin_url, directory, cluster)
        progress("backup", "waiting for the WAL archive")
        _await_archive(connection)
    shutil.copyfile(data_dir / "secrets.json", directory / "secrets.json")
    os.chmod(directory / "secrets.json", 0o600)
    if keep is not None:
        _drop_older(directory, keep)
    return made


def _prepare(data_dir: Path, directory: Path, cluster: str) -> None:
    """The directory, private, and the link that turns archiving on."""
    (directory / "base").mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(directory, 0o700)
    others = {backup.cluster for backup in base_backups(directory)} - {cluster}
    if others:
        raise BackupError(f"{directory} holds backups of another cluster; take a directory of its own")
    wal = directory / "wal"
    wal.mkdir(exist_ok=True, mode=0o700)
    account = account_of(data_dir / "postgres")
    if account is not None:
        os.chown(wal, account.uid, account.gid)
    link = archive_link(data_dir)
    if link.is_symlink() and link.readlink() == wal:
        return
    coming = link.with_name(".wal-archive.new")
    coming.unlink(missing_ok=True)
    coming.symlink_to(wal)
    coming.rename(link)


def _base_backup(admin_url: str, directory: Path, cluster: str) -> BaseBackup:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = directory / "base" / stamp
    with _removed_on_failure(path):
        # With the WAL of the copying itself, so that this much stands on its own.
        run_program(
            "pg_basebackup",
            "--dbname",
            admin_url,
            "--pgdata",
            str(path),
            "--checkpoint=fast",
            "--wal-method=stream",
        )
        run_program("pg_verifybackup", "--quiet", str(path))
        label = (path / "backup_label").read_text()
        segment = re.search(r"^START WAL LOCATION: \S+ \(file (\w+)\)", label, re.MULTILINE)
        assert segment is not None, label
        made = BaseBackup(path, datetime.now(UTC), cluster, segment[1])
        note = {name: str(value) for name, value in asdict(made).items() if name != "path"}
        write_private(path.with_name(path.name + ".json"), json.dumps(note, indent=1))
    return made


def _await_archive(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Finish the current segment and see it arrive: an archive that does not work shows now, not in the night."""
    _one(connection, "SELECT pg_create_restore_point('backup')::text")  # or there might be nothing to finish
    segment = _one(connection, "SELECT pg_walfile_name(pg_switch_wal())")
    deadline = time.monotonic() + ARCHIVED_LIMIT_S
    while _one(connection, "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") < segment:
        failed = _one(connection, "SELECT failed_count::text FROM pg_stat_archiver")
        if time.monotonic() > deadline:
            raise BackupError(f"WAL does not reach the archive ({failed} tries failed): see logs/postgres.log")
        time.sleep(0.1)


def _drop_older(directory: Path, keep: int) -> None:
    backups = base_backups(directory)
    for old in backups[:-keep]:
        old.path.with_name(old.path.name + ".json").unlink()
        shutil.rmtree(old.path)
    run_program("pg_archivecleanup", str(directory / "wal"), backups[-keep:][0].first_segment)


def _one(connection: psycopg.Connection[tuple[object, ...]], question: str) -> str:
    row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return str(row[0])


def run_program(name: str, *arguments: str) -> None:
    """One of Postgres's own programs. Raises BackupError with the last it said."""
    command = [program(name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_LIMIT_S, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise BackupError(f"{name}: {' '.join(said[-2:])}")


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
