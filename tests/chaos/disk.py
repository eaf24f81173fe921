"""A disk of Postgres's own that can be made full: a tmpfs in a mount namespace of this process and its children.

It is full when it is shrunk to what is on it, and not when it is made large again; no ballast is written. The
namespace goes with the last process in it, so that nothing stays mounted however a run ends. Linux and root only.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

CLONE_NEWNS = 0x00020000
ROOMY = "6g"
"""More than a run ever writes; memory is only taken as it is written."""


class NoDisk(Exception):
    """Why this platform gives us none."""


def own_namespace() -> None:
    """From now on what this process mounts is seen by it and its children only. Raises NoDisk.

    Call it before any thread is started: a namespace is a thread's.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoDisk("a disk of its own takes Linux and root")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise NoDisk(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    try:
        _run("mount", "--make-rprivate", "/")
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoDisk(f"no private mounts: {error}") from error


class Disk:
    """Mounted over an existing directory, whose content it takes on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        aside = directory.with_name(directory.name + ".aside")
        owner = directory.stat()
        directory.rename(aside)
        directory.mkdir(mode=0o700)
        options = f"size={ROOMY},mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
        try:
            _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory))
        except (OSError, subprocess.CalledProcessError) as error:
            directory.rmdir()
            aside.rename(directory)
            raise NoDisk(f"no tmpfs: {error}") from error
        _run("cp", "-a", f"{aside}/.", str(directory))
        shutil.rmtree(aside)

    def fill(self) -> None:
        """Not a page more from now on. Raises OSError where it grows faster than it can be shrunk."""
        for _ in range(50):
            used = os.statvfs(self._directory)
            pages = used.f_blocks - used.f_bfree
            with suppress(subprocess.CalledProcessError):  # it has grown meanwhile
                self._resize(str(pages * used.f_frsize))
                return
        raise OSError("the disk could not be made full")

    def free(self) -> None:
        """Room again."""
        self._resize(ROOMY)

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self._directory)], check=False, capture_output=True)

    def _resize(self, size: str) -> None:
        _run("mount", "-o", f"remount,size={size}", str(self._directory))


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
