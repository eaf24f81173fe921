"""The supervisor: restarts what dies, keeps stacks apart, cleans up after itself and after its own death."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

import stack
from stack.info import ProcessRecord, StackInfo, StackState
from stack.process import Identity
from tests.fixtures.stack import TemporalAddress

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
ROLES = ("tidemark_app", "tidemark_projector", "tidemark_reader")


def make_roles(admin_url: str) -> None:
    """What the migrations do, as far as the stack cares."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        for role in ROLES:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            if known is None:
                connection.execute(f"CREATE ROLE {role} NOLOGIN")


@pytest.fixture(autouse=True)
def users_own_temporal(monkeypatch: pytest.MonkeyPatch, temporal_server: TemporalAddress) -> None:
    """One server for all these stacks, as a user would give their own; another file tests the stack's own."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_server.address)


def stand_in(part: str = "worker", *words: str, count: int = 1, stop_s: float = 5.0) -> stack.ProcessSpec:
    return stack.ProcessSpec(part, [sys.executable, STAND_IN, *words], count, stop_s=stop_s, ready_s=20.0)


def config(
    data_dir: Path, *specs: stack.ProcessSpec, database: str | None = None, said: list[str] | None = None
) -> stack.StackConfig:
    env = {**os.environ, "DATABASE_URL": database or ""}
    heard = said if said is not None else []
    return stack.StackConfig(
        data_dir,
        processes=specs,
        migrate=make_roles,
        env=env,
        durable=False,
        on_progress=lambda part, message: heard.append(f"{part} {message}"),
    )


def eventually(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def pids(data_dir: Path, part: str) -> list[int]:
    info = stack.read_info(data_dir)
    assert info is not None
    return info.processes[part]


def whoami(url: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_user").fetchone()
    assert row is not None
    return row[0]


def test_what_dies_is_started_again_and_shows_with_its_new_number(tmp_path: Path, postgres_server: str) -> None:
    with stack.up(config(tmp_path, stand_in(count=2), stand_in("projector"), database=postgres_server)) as running:
        before = pids(tmp_path, "worker")
        projector = pids(tmp_path, "projector")
        assert len(before) == 2
        assert running.kill("worker") == before
        eventually(lambda: len(pids(tmp_path, "worker")) == 2 and not set(before) & set(pids(tmp_path, "worker")))
        assert pids(tmp_path, "projector") == projector
        assert running.info.processes["worker"] == pids(tmp_path, "worker")


def test_what_dies_again_and_again_is_given_more_and_more_time(tmp_path: Path, postgres_server: str) -> None:
    said: list[str] = []
    with stack.up(config(tmp_path, stand_in(), database=postgres_server, said=said)):
        for _ in range(3):
            killed = stack.crash(tmp_path, "worker")
            eventually(lambda killed=killed: pids(tmp_path, "worker") not in ([], killed))  # type: ignore[misc]
    waits = [float(line.rsplit(" ", 2)[1]) for line in said if "died" in line]
    assert waits == [0.2, 0.4, 0.8]


def test_nothing_is_left_after_a_stop(tmp_path: Path) -> None:
    with stack.up(config(tmp_path, stand_in(), stand_in("projector"))) as running:
        everything = [pid for part in running.info.processes.values() for pid in part]
        assert len(everything) == 3
    assert not any(psutil.pid_exists(pid) for pid in everything)
    assert stack.read_info(tmp_path) is None
    assert not StackState.path(tmp_path).exists()


def test_a_process_that_does_not_stop_when_asked_is_killed_after_its_time(
    tmp_path: Path, postgres_server: str
) -> None:
    with stack.up(config(tmp_path, stand_in("worker", "deaf", stop_s=0.5), database=postgres_server)) as running:
        (pid,) = running.info.processes["worker"]
        asked_at = time.monotonic()
    assert not psutil.pid_exists(pid)
    assert 0.5 <= time.monotonic() - asked_at < 5


def test_a_second_start_on_the_same_data_is_refused_and_changes_nothing(
    tmp_path: Path, postgres_server: str
) -> None:
    with stack.up(config(tmp_path, stand_in(), database=postgres_server)) as running:
        second = stack.up(config(tmp_path, stand_in(), database=postgres_server))
        with pytest.raises(stack.AlreadyRunning, match=f"already running, pid {os.getpid()} "):
            second.__enter__()
        assert stack.read_info(tmp_path) == running.info
        assert all(psutil.pid_exists(pid) for pid in running.info.processes["worker"])


def test_two_stacks_run_side_by_side(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with stack.up(config(one, stand_in())) as first:
        with stack.up(config(two, stand_in())) as second:
            assert first.info.database != second.info.database
            second.kill("postgres")
            assert whoami(first.info.database) == "tidemark_app"
        assert whoami(first.info.database) == "tidemark_app"
        assert stack.read_info(one) is not None
        assert stack.read_info(two) is None


def test_each_purpose_gets_its_own_login_on_the_embedded_postgres(tmp_path: Path) -> None:
    with stack.up(config(tmp_path, stand_in())) as running:
        info = running.info
        assert whoami(info.database) == "tidemark_app"
        assert whoami(info.projector_database) == "tidemark_projector"
        assert whoami(info.read_database) == "tidemark_reader"
        assert whoami(info.admin_database) == "postgres"
        assert (tmp_path / "run" / "worker-0.ready").read_text() == info.database
        assert StackState.path(tmp_path).stat().st_mode & 0o077 == 0


def test_on_a_database_of_the_users_each_purpose_takes_its_role_on(tmp_path: Path, postgres_server: str) -> None:
    with stack.up(config(tmp_path, stand_in(), database=postgres_server)) as running:
        assert "postgres" not in running.info.processes
        assert whoami(running.info.database) == "tidemark_app"
        assert whoami(running.info.projector_database) == "tidemark_projector"
        assert whoami(running.info.read_database) == "tidemark_reader"


def test_postgres_comes_back_after_a_kill_at_the_same_address_with_its_data(tmp_path: Path) -> None:
    with stack.up(config(tmp_path)) as running:
        with psycopg.connect(running.info.admin_database) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        killed = running.kill("postgres")
        eventually(lambda: pids(tmp_path, "postgres") not in ([], killed))

        def answer() -> bool:
            try:
                with psycopg.connect(running.info.admin_database) as again:
                    return again.execute("SELECT answer FROM kept").fetchone() == (42,)
            except psycopg.OperationalError:
                return False

        eventually(answer)


def test_a_part_that_does_not_start_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    starting = stack.up(config(tmp_path, stand_in("projector"), stand_in("worker", "never-ready")))
    with pytest.raises(
        stack.PartUnavailable, match="worker: ended with 1 while starting: cannot read my settings"
    ):
        starting.__enter__()
    assert not StackState.path(tmp_path).exists()
    mine = [p for p in psutil.process_iter(["cwd"]) if (p.info["cwd"] or "").startswith(str(tmp_path))]
    assert mine == []


def test_an_unreachable_database_of_the_users_is_one_clear_line(tmp_path: Path) -> None:
    starting = stack.up(config(tmp_path, database="postgresql://nobody@127.0.0.1:9/none"))
    with pytest.raises(stack.PartUnavailable, match="DATABASE_URL cannot be reached"):
        starting.__enter__()


def test_an_unreachable_temporal_of_the_users_is_one_clear_line(
    tmp_path: Path, postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    with pytest.raises(stack.PartUnavailable, match="TEMPORAL_ADDRESS cannot be reached"):
        stack.up(config(tmp_path, database=postgres_server)).__enter__()


SUPERVISE = """
import contextlib, json, os, signal, sys
from pathlib import Path
from tests.integration import test_stack_supervisor as t
import stack
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in a shell's background inherit it ignored
with stack.up(t.config(Path(sys.argv[1]), t.stand_in(), t.stand_in("projector"))) as running:
    with contextlib.suppress(KeyboardInterrupt):  # the signal may come before the wait
        print(json.dumps(running.info.processes), flush=True)
        running.wait()
print("stopped in order", flush=True)
"""


def supervise(data_dir: Path) -> tuple[subprocess.Popen[str], dict[str, list[int]]]:
    """A supervisor in a process of its own, once everything is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE, str(data_dir)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything_in_order(tmp_path: Path, number: signal.Signals) -> None:
    process, parts = supervise(tmp_path)
    process.send_signal(number)
    rest, _ = process.communicate(timeout=30)
    assert rest == "stopped in order\n"
    assert process.returncode == 0
    assert not any(psutil.pid_exists(pid) for part in parts.values() for pid in part)


def lives(pid: int) -> bool:
    """Not so once it has ended, though nobody may have collected it yet: its parent was killed."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_after_a_kill_of_the_supervisor_the_next_start_finds_a_clean_place(tmp_path: Path) -> None:
    process, parts = supervise(tmp_path)
    info = StackState.read(tmp_path)
    assert info is not None
    with psycopg.connect(info.info.admin_database) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    process.kill()
    process.communicate(timeout=30)
    assert stack.read_info(tmp_path) is None, "a killed supervisor is not a running stack"

    with stack.up(config(tmp_path, stand_in())) as running:
        assert [pid for part in parts.values() for pid in part if lives(pid)] == []
        with psycopg.connect(running.info.admin_database) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        assert running.info.admin_database == info.info.admin_database, "addresses and passwords stay"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_the_children_of_a_killed_supervisor_end_by_themselves(tmp_path: Path) -> None:
    process, parts = supervise(tmp_path)
    process.kill()
    process.communicate(timeout=30)
    eventually(lambda: not any(lives(pid) for part in parts.values() for pid in part))
    assert "database system is shut down" in (tmp_path / "logs" / "postgres.log").read_text()


def leave_stale_state(data_dir: Path, bystander: Identity) -> None:
    """As if a supervisor that is gone had recorded this process as its child."""
    gone = ProcessRecord(part="supervisor", pid=2**22 - 1, started="earlier")
    child = ProcessRecord(part="worker", pid=bystander.pid, started=bystander.started)
    StackState(supervisor=gone, children=[child], ready=True, info=StackInfo()).write(data_dir)


@pytest.mark.parametrize(("since", "survives"), [("", False), ("an hour ago", True)])
def test_leftovers_are_ended_but_never_a_process_that_took_over_a_number(
    tmp_path: Path, postgres_server: str, since: str, survives: bool
) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        seen = Identity.of(bystander.pid)
        assert seen is not None
        leave_stale_state(tmp_path, Identity(seen.pid, since or seen.started))
        assert stack.read_info(tmp_path) is None
        with stack.up(config(tmp_path, stand_in(), database=postgres_server)):
            assert (Identity.of(bystander.pid) is not None and bystander.poll() is None) is survives
    finally:
        bystander.kill()
        bystander.wait()


def test_crash_says_what_can_be_crashed(tmp_path: Path, postgres_server: str) -> None:
    with pytest.raises(stack.StackError, match="no stack is running"):
        stack.crash(tmp_path, "worker")
    with (
        stack.up(config(tmp_path, stand_in(), database=postgres_server)),
        pytest.raises(stack.StackError, match="runs no projector; it runs worker"),
    ):
        stack.crash(tmp_path, "projector")
