"""Finds the Temporal server's program, or gets it: on PATH, in the cache, as the SDK's download, as a build.

All lands in one cache directory: `TIDEMARK_CACHE`, else `$XDG_CACHE_HOME/tidemark`, else `~/.cache/tidemark`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stack.errors import PartUnavailable, StartInterrupted
from stack.files import FileLock
from stack.go_build import build_temporal
from stack.progress import Progress, no_progress

Source = Literal["path", "cache", "download", "build"]

DOWNLOAD_STALL_S = 10.0
DOWNLOAD_LIMIT_S = 600.0
_ANSWER_LIMIT_S = 20.0


@dataclass(frozen=True)
class TemporalBinary:
    """The program, and where it came from."""

    path: Path
    source: Source


def cache_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Where what is fetched or built once is kept, for all stacks of this user."""
    if env.get("TIDEMARK_CACHE"):
        return Path(env["TIDEMARK_CACHE"]).expanduser().resolve()
    if env.get("XDG_CACHE_HOME"):
        return Path(env["XDG_CACHE_HOME"]) / "tidemark"
    return Path(env.get("HOME") or Path.home()) / ".cache" / "tidemark"


def works(program: Path) -> bool:
    """Whether this is Temporal's command line with a server inside (other programs have the same name)."""
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_ANSWER_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.returncode == 0 and "(Server 1." in said.stdout


def present(env: Mapping[str, str], cache: Path) -> TemporalBinary | None:
    """The program where it needs no getting: on PATH, else in the cache."""
    on_path = shutil.which("temporal", path=env.get("PATH"))
    if on_path and works(Path(on_path)):
        return TemporalBinary(Path(on_path), "path")
    cached = cache / "bin" / "temporal"
    if cached.is_file() and works(cached):
        return TemporalBinary(cached, "cache")
    return None


def find_or_get(
    env: Mapping[str, str] = os.environ,
    progress: Progress = no_progress,
    stopping: threading.Event | None = None,
) -> TemporalBinary:
    """The Temporal server's program, fetched or built when it is not there yet.

    Two stacks that start at once do this once: the second waits. Raises `StartInterrupted` soon after `stopping`
    is set, `PartUnavailable` when no way led to a program; it then says what was tried.
    """
    cache = cache_dir(env)
    stopping = stopping or threading.Event()
    found = present(env, cache)
    if found:
        return found

    def waiting() -> None:
        progress("temporal", "waiting for another start that is getting the server")
        _stop_if(stopping)

    with FileLock(cache / "temporal.lock").held(waiting):
        found = present(env, cache)  # the one we waited for may have put it there
        if found:
            return found
        target = cache / "bin" / "temporal"
        target.parent.mkdir(parents=True, exist_ok=True)
        if _download(cache, target, env, progress, stopping):
            return TemporalBinary(target, "download")
        built = build_temporal(cache, env, progress, stopping)
        if not works(built):
            raise PartUnavailable("temporal", f"the program that was built does not run: {built}")
        os.replace(built, target)
        shutil.rmtree(cache / "build", ignore_errors=True)
        return TemporalBinary(target, "build")


def _download(
    cache: Path, target: Path, env: Mapping[str, str], progress: Progress, stopping: threading.Event
) -> bool:
    """Let the Temporal SDK fetch the server it is made for. False when it cannot, soon where it is offline."""
    into = cache / "download"
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    fetcher = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("sdk_download.py")), str(into)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(env),
        start_new_session=True,
    )
    started = moved = time.monotonic()
    size = 0
    try:
        while fetcher.poll() is None:
            _stop_if(stopping)
            now = time.monotonic()
            grown = sum(file.stat().st_size for file in into.iterdir())
            if grown > size:
                size, moved = grown, now
            if now - moved > DOWNLOAD_STALL_S or now - started > DOWNLOAD_LIMIT_S:
                return False
            progress("temporal", f"fetching the server: {size / 1e6:.0f} MB")
            stopping.wait(0.2)
        fetched = [file for file in into.iterdir() if file.name.startswith("temporal") and works(file)]
        if fetcher.returncode != 0 or not fetched:
            return False
        os.replace(fetched[0], target)
        return True
    finally:
        if fetcher.poll() is None:
            fetcher.kill()
        fetcher.wait()
        shutil.rmtree(into, ignore_errors=True)


def _stop_if(stopping: threading.Event) -> None:
    if stopping.is_set():
        raise StartInterrupted("stopped while getting the Temporal server; the next start begins it anew")
