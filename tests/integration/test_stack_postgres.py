"""The embedded Postgres: survives being killed, keeps what was committed, lets nobody in without a password."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from stack.errors import PartUnavailable
from stack.postgres import PostgresServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(tmp_path)
    server.start()
    yield server
    server.stop(hurry=True)


def ask(server: PostgresServer, question: str) -> object:
    with psycopg.connect(server.admin_url) as connection:
        row = connection.execute(question).fetchone()
    assert row is not None
    return row[0]


def postmaster(server: PostgresServer) -> psutil.Process:
    assert server.child is not None
    return psutil.Process(server.child.pid)


def write_a_row(server: PostgresServer) -> None:
    with psycopg.connect(server.admin_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def test_commits_are_durable_and_only_this_machine_can_connect(server: PostgresServer) -> None:
    assert ask(server, "SHOW synchronous_commit") == "on"
    assert ask(server, "SHOW fsync") == "on"
    assert ask(server, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server, "SHOW server_encoding") == "UTF8"
    assert {connection.laddr.ip for connection in postmaster(server).net_connections()} == {"127.0.0.1"}


def test_nobody_gets_in_without_the_password(server: PostgresServer, tmp_path: Path) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url("postgres", "guess"))
    assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")
def test_started_by_root_it_runs_as_somebody_else_without_rights(server: PostgresServer) -> None:
    assert 0 not in postmaster(server).uids()
    status = Path(f"/proc/{postmaster(server).pid}/status").read_text()
    kept = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff"))
    assert kept in (0, 1 << 2), "at most the right to walk through directories"


def test_what_was_committed_survives_a_sigkill_of_the_server(server: PostgresServer) -> None:
    write_a_row(server)
    address = server.admin_url
    killed = postmaster(server)
    with closing(psycopg.connect(server.admin_url)) as still_connected:
        still_connected.execute("SELECT 1")
        killed.kill()
        server.start()
    assert ask(server, "SELECT answer FROM kept") == 42
    assert server.admin_url == address
    assert postmaster(server).pid != killed.pid


def test_a_lock_file_naming_some_other_running_program_is_no_obstacle(tmp_path: Path) -> None:
    first = PostgresServer(tmp_path)
    first.start()
    write_a_row(first)
    lock = tmp_path / "postgres" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    postmaster(first).kill()
    first.stop()
    # As after a restart of a container: the number belongs to a program of the same user that is no server at all.
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    second = PostgresServer(tmp_path)
    second.start()
    try:
        assert ask(second, "SELECT answer FROM kept") == 42
    finally:
        second.stop(hurry=True)


def test_a_directory_closed_to_others_stays_closed(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    server = PostgresServer(private / "data", durable=False)
    server.start()
    server.stop(hurry=True)
    assert private.stat().st_mode & 0o777 == 0o700


def test_a_stop_lets_it_shut_down_in_order(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path, durable=False)
    server.start()
    server.stop()
    assert "database system is shut down" in server.log.read_text()
    assert not server.ready()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path, durable=False)
    server.start()
    server.stop()
    (tmp_path / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(PartUnavailable, match=r"(?s)postgres: ended while starting.*incompatible"):
        server.start()


def test_a_ctrl_c_in_its_terminal_does_not_reach_it(server: PostgresServer) -> None:
    assert os.getpgid(postmaster(server).pid) != os.getpgid(os.getpid())
    assert os.getsid(postmaster(server).pid) != os.getsid(os.getpid())
