"""Postgres's `archive_command`: keeps a finished WAL segment beside the backups, durably, whole or not at all.

A small program of its own, run by the server once per segment, so it uses the standard library only.

    python -I -S archive.py LINK SEGMENT NAME

LINK points to the archive; where there is none, nobody has asked for one and there is nothing to do. Any other
failure is an error: Postgres keeps the segment and offers it again.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import sys
from pathlib import Path


def keep(link: Path, segment: Path, name: str) -> None:
    """Copy `segment` to `<link>/<name>`. Raises where another content is there under that name."""
    if not link.is_symlink():
        return
    kept = link / name
    if kept.exists():
        if not filecmp.cmp(segment, kept, shallow=False):
            raise FileExistsError(f"{kept} is there with another content: it is another cluster's")
        return
    coming = link / f".{name}.part"
    with segment.open("rb") as source, coming.open("wb") as target:
        shutil.copyfileobj(source, target, 1024 * 1024)
        target.flush()
        os.fsync(target.fileno())
    coming.rename(kept)
    folder = os.open(link, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
