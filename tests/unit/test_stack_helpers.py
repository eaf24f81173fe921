"""Small parts of the local stack: connection URLs, progress lines, logs that do not grow without a limit."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import psutil
import pytest
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console

from stack.database import must_be_new_enough, plain_url, with_role
from stack.errors import PartUnavailable
from stack.files import FileLock, keep_log_small, tail, write_private
from stack.process import Identity
from stack.progress import PlainLines, console_progress


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("postgresql://u:p%40ss@db/x", "-c role=tidemark_app"),
        ("postgresql://u@db/x?sslmode=require", "-c role=tidemark_app"),
        (
            "postgresql://u@db/x?options=-c%20statement_timeout%3D5s",
            "-c statement_timeout=5s -c role=tidemark_app",
        ),
        ("host=db user=u dbname=x", "-c role=tidemark_app"),
        ("host=db user=u dbname=x options='-c a.b=1'", "-c a.b=1 -c role=tidemark_app"),
    ],
)
def test_a_role_is_added_and_the_rest_of_the_url_stays(url: str, options: str) -> None:
    before, after = conninfo_to_dict(url), conninfo_to_dict(with_role(url, "tidemark_app"))
    assert after.pop("options") == options
    before.pop("options", None)
    assert after == before


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_the_scheme_is_understood(scheme: str) -> None:
    assert plain_url(f"{scheme}://u@db/x") == "postgresql://u@db/x"


def test_progress_without_a_terminal_is_a_line_per_phase_and_one_every_15_s() -> None:
    now = [0.0]
    out = io.StringIO()
    lines = PlainLines(out, clock=lambda: now[0])
    for second in range(20):
        now[0] = float(second)
        lines("temporal", f"building: {second} s")
    lines("temporal", "starting")
    lines("worker", "starting")
    printed = out.getvalue().splitlines()
    assert printed == [
        "temporal: building: 0 s",
        "temporal: building: 15 s",
        "temporal: starting",
        "worker: starting",
    ]


def test_on_a_terminal_what_happens_after_the_start_is_printed_as_lines() -> None:
    out = io.StringIO()
    with console_progress(Console(file=out, force_terminal=True)) as progress:
        progress("postgres", "starting [with brackets]")
    before = out.getvalue()
    progress("worker", "died (-9): starting again in 0.2 s")
    assert out.getvalue()[len(before) :] == "worker: died (-9): starting again in 0.2 s\n"


def test_a_log_past_its_limit_moves_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old " * 10)
        keep_log_small(log, limit_bytes=100)
        assert not (tmp_path / "worker.log.1").exists()
        keep_log_small(log, limit_bytes=30)
        writer.write(b"new\n")
    assert (tmp_path / "worker.log.1").read_bytes() == b"old " * 10
    assert log.read_bytes() == b"new\n"


def test_the_end_of_a_log_without_reading_all_of_it(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert tail(log, 2) == "line 99998\nline 99999"
    assert tail(tmp_path / "none.log") == ""


def test_a_private_file_is_replaced_whole_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_has_one_holder_at_a_time(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.try_acquire()
    assert not second.try_acquire()
    first.release()
    assert second.try_acquire()
    second.release()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel keeps only the time of day")
def test_a_process_is_known_after_the_machines_clock_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Identity.of(os.getpid())
    assert seen is not None
    booted = psutil.boot_time()
    # Linux counts "booted at" back from the time of day, so setting the clock moves it.
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: booted + 30)
    assert seen.process() == psutil.Process()


def test_a_process_that_has_another_ones_number_is_not_it() -> None:
    assert Identity(os.getpid(), "another boot 1").process() is None
    assert Identity(2**22 - 1, "").process() is None
    assert Identity.of(2**22 - 1) is None


def test_an_older_postgres_of_the_users_own_is_refused_in_words() -> None:
    must_be_new_enough(180_000)
    with pytest.raises(PartUnavailable, match=r"DATABASE_URL is Postgres 15.18; 18 or newer is needed"):
        must_be_new_enough(150_018)
