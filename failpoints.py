"""Places where a crash test may stop or kill the process. Without TIDEMARK_FAILPOINT nothing happens.

TIDEMARK_FAILPOINT is a comma-separated list of `name` or `name=kill` (SIGKILL to the own process),
`name=stop` (SIGSTOP to it) and `name=pause:PATH` (waits until PATH exists; PATH.reached is made first, so that a
test knows).
TIDEMARK_FAILPOINT_ONCE names a file: made before the first signal, and where it exists nobody is sent another.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path


def _parse(text: str) -> dict[str, str]:
    pairs = (item.partition("=") for item in text.split(",") if item)
    return {name: action or "kill" for name, _, action in pairs}


_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
_ARMED = _parse(os.environ.get("TIDEMARK_FAILPOINT", ""))


def hit(name: str) -> None:
    """Kill or stop the process here, where this failpoint is armed so."""
    number = _SIGNALS.get(_ARMED.get(name, "")) if _ARMED else None
    if number is not None:
        once = os.environ.get("TIDEMARK_FAILPOINT_ONCE")
        if once:
            if Path(once).exists():
                return
            Path(once).touch()
        os.kill(os.getpid(), number)


async def reach(name: str) -> None:
    """As `hit`, and the place where `pause:PATH` waits."""
    if not _ARMED:
        return
    action = _ARMED.get(name, "")
    if action.startswith("pause:"):
        await asyncio.to_thread(_pause, Path(action.removeprefix("pause:")))
    hit(name)


def _pause(gate: Path) -> None:
    Path(f"{gate}.reached").touch()
    while not gate.exists():
        time.sleep(0.02)
