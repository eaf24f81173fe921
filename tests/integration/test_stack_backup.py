"""Backup and restore of the embedded Postgres: any moment since the backup, in place or on a fresh machine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from stack.archive import keep
from stack.backup import BackupError, back_up, base_backups
from stack.errors import AlreadyRunning
from stack.files import FileLock
from stack.postgres import PostgresServer
from stack.restore import restore


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture
def server(data: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(data)
    server.start()
    with psycopg.connect(server.admin_url) as connection:
        connection.execute("CREATE TABLE written (number int)")
    yield server
    server.stop(hurry=True)


def write(server: PostgresServer, number: int) -> datetime:
    """Commits it; a moment after that."""
    with psycopg.connect(server.admin_url) as connection:
        connection.execute("INSERT INTO written VALUES (%s)", (number,))
    time.sleep(0.02)
    return datetime.now(UTC)


def numbers(admin_url: str) -> list[int]:
    with psycopg.connect(admin_url) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM written ORDER BY 1")]


def test_any_moment_since_the_backup_comes_back_in_place(server: PostgresServer, data: Path, kept: Path) -> None:
    write(server, 1)
    made = back_up(data, server.admin_url, kept)
    assert base_backups(kept) == [made]
    assert not kept.stat().st_mode & 0o077, "it holds passwords"
    moment = write(server, 2)
    write(server, 3)
    server.stop(hurry=True)  # killed: the last of it is in no finished segment

    early = restore(data, kept, numbers, moment)
    assert (early.seen, early.reached) == ([1, 2], True)
    [aside] = early.aside
    again = PostgresServer(data)
    again.start()
    assert numbers(again.admin_url) == [1, 2]
    write(again, 4)
    again.stop()
    assert restore(data, kept, numbers).seen == [1, 2, 4], "the history that went on from there"

    # The wrong moment? What was set aside is whole, and the moments of its own history are still there.
    shutil.rmtree(data / "postgres")
    aside.rename(data / "postgres")
    assert restore(data, kept, numbers).seen == [1, 2, 3]


def test_a_fresh_machine_gets_all_that_was_archived(
    server: PostgresServer, data: Path, kept: Path, tmp_path: Path
) -> None:
    back_up(data, server.admin_url, kept)
    write(server, 1)
    server.stop()  # in order: the last segment is archived
    elsewhere = tmp_path / "elsewhere"
    restored = restore(elsewhere, kept, numbers, datetime.now(UTC) + timedelta(hours=1))
    assert (restored.seen, restored.reached, restored.aside) == ([1], False, ())


def test_what_cannot_be_done_changes_nothing(server: PostgresServer, data: Path, kept: Path) -> None:
    before = write(server, 1)
    with pytest.raises(BackupError, match="holds no finished backup"):
        restore(data, kept, numbers)
    made = back_up(data, server.admin_url, kept)
    lock = FileLock(data / "stack.lock")
    assert lock.try_acquire()
    with pytest.raises(AlreadyRunning):
        restore(data, kept, numbers)
    lock.release()
    note = made.path.with_name(made.path.name + ".json")
    ours = note.read_text()
    note.write_text(ours.replace(made.cluster, "another"))
    with pytest.raises(BackupError, match="another cluster"):
        back_up(data, server.admin_url, kept)
    note.write_text(ours)
    server.stop()
    with pytest.raises(BackupError, match="the oldest moment to restore is"):
        restore(data, kept, numbers, before)
    (made.path / "global" / "pg_control").unlink()
    with pytest.raises(BackupError, match="pg_control"):
        restore(data, kept, numbers)
    server.start()
    assert numbers(server.admin_url) == [1]


def test_old_backups_and_their_wal_are_dropped(server: PostgresServer, data: Path, kept: Path) -> None:
    back_up(data, server.admin_url, kept)
    write(server, 1)
    last = back_up(data, server.admin_url, kept, keep=1)
    assert base_backups(kept) == [last]
    assert [path.name for path in (kept / "base").iterdir() if path.is_dir()] == [last.path.name]
    assert min(path.name for path in (kept / "wal").iterdir() if len(path.name) == 24) >= last.first_segment
    server.stop()
    assert restore(data, kept, numbers).seen == [1]


def test_a_segment_is_kept_once_and_never_replaced(tmp_path: Path) -> None:
    segment, archive, link = tmp_path / "segment", tmp_path / "archive", tmp_path / "link"
    segment.write_bytes(b"first")
    keep(link, segment, "000000010000000000000001")  # nobody asked for an archive
    archive.mkdir()
    link.symlink_to(archive)
    for _ in range(2):  # Postgres may offer one again
        keep(link, segment, "000000010000000000000001")
    segment.write_bytes(b"other")
    with pytest.raises(FileExistsError):
        keep(link, segment, "000000010000000000000001")
    assert [path.read_bytes() for path in archive.iterdir()] == [b"first"]
    link.unlink()
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        keep(link, segment, "000000010000000000000002")
