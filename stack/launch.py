"""Becomes another program, after giving up root and asking to be signalled when its parent dies.

Run as a file by `stack.process`, before the packages of the project are importable, so it uses the standard
library only. A small program of its own, because code between fork and exec in a process with threads is unsafe.

    python -I -S launch.py '{"parent": 1, "death_signal": 15, "account": [1, 1], "reach": [...]}' PROGRAM ARG...
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _set_capabilities(mask: int) -> bool:
    """Keep exactly these capabilities (a bit each) and let them pass through exec. False when not allowed."""
    libc = _libc()
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(
        mask, mask, mask, 0, 0, 0
    )  # effective, permitted, inheritable; low word, high word
    if libc.capset(header, data) != 0:
        return False
    wanted = [bit for bit in range(32) if mask & (1 << bit)]
    return all(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bit, 0, 0) == 0 for bit in wanted)


def _reachable(paths: list[str]) -> bool:
    return all(os.access(path, os.R_OK | os.X_OK) for path in paths)


def become(uid: int, gid: int, reach: list[str]) -> None:
    """Leave root for good. `reach` are the paths the program needs.

    Where they lie below a directory that is closed to others (a private home, a temporary directory), the one
    right to walk through directories is kept, rather than opening somebody's directories to everybody.
    """
    linux = sys.platform == "linux"
    if linux:
        _libc().prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)
    if _reachable(reach):
        if linux:
            _set_capabilities(0)
        return
    if linux and any(_set_capabilities(1 << right) for right in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE)):
        return
    sys.exit(f"user {uid} may not reach {' or '.join(reach)}; run as an ordinary user, not as root")


def main() -> None:
    """Read the orders, carry them out, become the program."""
    orders = json.loads(sys.argv[1])
    program = sys.argv[2:]
    if orders["account"]:
        uid, gid = orders["account"]
        become(uid, gid, orders["reach"])
    if sys.platform == "linux" and orders["death_signal"]:
        # After the change of user, which would clear it.
        _libc().prctl(PR_SET_PDEATHSIG, orders["death_signal"], 0, 0, 0)
        if os.getppid() != orders["parent"]:
            sys.exit("the parent died first")
    os.umask(0o077)
    os.execv(program[0], program)  # noqa: S606 - the point of this file: no shell, a full path


if __name__ == "__main__":
    main()
