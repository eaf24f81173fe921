"""How a side of a comparison is asked for work: one JSON line in, one JSON line out. Standard library only."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TextIO

Work = Callable[..., dict[str, Any]]
AsyncWork = Callable[..., Awaitable[dict[str, Any]]]


def serve(**works: Work) -> None:
    """Answers until standard input ends. `{"work": "save", "n": 100}` calls `works["save"](n=100)`."""
    say({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        try:
            say(works[order.pop("work")](**order))
        except Exception as error:  # the asker decides what a failure is worth
            say({"error": f"{type(error).__name__}: {error}"})


async def serve_async(**works: AsyncWork) -> None:
    """`serve` for coroutines."""
    import asyncio

    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as reading:
        say({"ready": True})
        while line := await loop.run_in_executor(reading, sys.stdin.readline):
            order = json.loads(line)
            try:
                say(await works[order.pop("work")](**order))
            except Exception as error:
                say({"error": f"{type(error).__name__}: {error}"})


@functools.cache
def _answers() -> TextIO:
    """Standard output for answers alone: what a library prints goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def say(answer: dict[str, Any]) -> None:
    """One line to whoever asks."""
    print(json.dumps(answer), file=_answers(), flush=True)
