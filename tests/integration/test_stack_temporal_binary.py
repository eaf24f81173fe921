"""Where the Temporal server's program comes from, with made-up programs in temporary directories."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stack import go_build, temporal_binary
from stack.errors import PartUnavailable, StartInterrupted
from stack.progress import no_progress
from stack.temporal_binary import TemporalBinary, cache_dir, find_or_get

TEMPORAL = "#!/bin/sh\necho 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)'\n"
# Pretends to be a Go toolchain whose build writes such a program, and counts the builds.
GO = """#!/bin/sh
[ "$1" = version ] && { echo 'go version go1.26.8 linux/amd64'; exit; }
echo "$@" >> "$BUILDS"
echo 'go: downloading example.org/module v1.0.0' >&2
sleep "${BUILD_TAKES_S:-0.3}"
mkdir -p "$GOBIN" && printf '%s' "$PROGRAM" > "$GOBIN/temporal" && chmod +x "$GOBIN/temporal"
"""


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


class Machine:
    """A machine without any Temporal: an empty PATH (but for the shell's tools) and an empty cache."""

    def __init__(self, root: Path) -> None:
        self.path = root / "path"
        self.path.mkdir()
        self.cache = root / "cache"
        self.builds = root / "builds"
        self.env: Mapping[str, str] = {
            "PATH": f"{self.path}:/usr/bin:/bin",
            "TIDEMARK_CACHE": str(self.cache),
            "BUILDS": str(self.builds),
            "PROGRAM": TEMPORAL,
        }

    def number_of_builds(self) -> int:
        return len(self.builds.read_text().splitlines()) if self.builds.exists() else 0


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(temporal_binary, "_download", lambda *_: False)  # offline
    return Machine(tmp_path)


def test_a_program_on_path_comes_first(machine: Machine) -> None:
    on_path = program(machine.path, "temporal", TEMPORAL)
    program(machine.cache / "bin", "temporal", TEMPORAL)
    assert find_or_get(machine.env) == TemporalBinary(on_path, "path")


def test_another_program_of_the_same_name_is_passed_over(machine: Machine) -> None:
    program(machine.path, "temporal", "#!/bin/sh\necho 'temporal: a calendar'\n")
    cached = program(machine.cache / "bin", "temporal", TEMPORAL)
    assert find_or_get(machine.env) == TemporalBinary(cached, "cache")


def test_a_download_by_the_sdk_comes_before_a_build(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    program(machine.path, "go", GO)
    monkeypatch.setattr(temporal_binary, "_download", lambda *_: True)
    assert find_or_get(machine.env) == TemporalBinary(machine.cache / "bin" / "temporal", "download")
    assert machine.number_of_builds() == 0


def test_offline_it_is_built_once_and_then_found_in_the_cache(machine: Machine) -> None:
    program(machine.path, "go", GO)
    said: list[str] = []
    built = find_or_get(machine.env, lambda _part, message: said.append(message))
    assert built == TemporalBinary(machine.cache / "bin" / "temporal", "build")
    assert "about five minutes, once" in said[0]
    assert "1 modules fetched" in said[-1]
    assert not (machine.cache / "build").exists(), "gigabytes nobody needs any more"
    assert find_or_get(machine.env).source == "cache"
    (command,) = machine.builds.read_text().splitlines()
    assert command == f"install -v -trimpath -ldflags -s -w {go_build.MODULE}"


def test_two_starts_at_once_build_once(machine: Machine) -> None:
    program(machine.path, "go", GO)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: find_or_get(machine.env).source, range(2)))
    assert sorted(both) == ["build", "cache"]
    assert machine.number_of_builds() == 1


def test_a_ctrl_c_ends_the_build_soon_and_leaves_nothing_half_done(machine: Machine) -> None:
    program(machine.path, "go", GO)
    stopping = threading.Event()
    threading.Timer(0.5, stopping.set).start()
    started = time.monotonic()
    with pytest.raises(StartInterrupted):
        find_or_get({**machine.env, "BUILD_TAKES_S": "60"}, no_progress, stopping)
    assert time.monotonic() - started < 10
    assert not (machine.cache / "build").exists()
    assert find_or_get(machine.env).source == "build", "and the next start begins it anew"


def test_a_failed_build_says_what_to_do(machine: Machine) -> None:
    program(machine.path, "go", GO.replace("sleep", "echo 'no route to host' >&2; exit 1; sleep"))
    with pytest.raises(PartUnavailable, match=r"no route to host.*TEMPORAL_ADDRESS"):
        find_or_get(machine.env)
    assert not (machine.cache / "bin" / "temporal").exists()


def test_what_was_built_but_does_not_run_is_not_kept(machine: Machine) -> None:
    program(machine.path, "go", GO)
    with pytest.raises(PartUnavailable, match="does not run"):
        find_or_get({**machine.env, "PROGRAM": "#!/bin/sh\nexit 1\n"})
    assert not (machine.cache / "bin" / "temporal").exists()


@pytest.mark.parametrize("version", ["go1.24.9", "go1.9", "devel"])
def test_a_go_that_is_too_old_is_not_used(machine: Machine, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    program(machine.path, "go", GO.replace("go1.26.8", version))
    monkeypatch.setattr(go_build, "_go_from_pip", lambda *_: program(machine.path / "pip", "go", GO))
    assert find_or_get(machine.env).source == "build"
    assert machine.number_of_builds() == 1


def test_the_cache_is_where_the_user_says(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    assert cache_dir(home) == tmp_path / ".cache" / "tidemark"
    assert cache_dir({**home, "XDG_CACHE_HOME": "/x"}) == Path("/x/tidemark")
    assert cache_dir({**home, "XDG_CACHE_HOME": "/x", "TIDEMARK_CACHE": str(tmp_path)}) == tmp_path
