"""A side of a comparison: a program of its own that is asked for work and says how long it took."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEERS_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
START_S, ANSWER_S, STOP_S = 60.0, 240.0, 20.0


class SideFailed(Exception):
    """A side did not start, answer in time or do what it was asked for."""


class Side:
    """Get one from `side`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process

    async def ask(self, work: str, **parameters: Any) -> dict[str, Any]:
        """Has it do `work`; what it answers. Raises SideFailed."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"work": work, **parameters}).encode() + b"\n")
        await self.process.stdin.drain()
        answer = await self.answer(ANSWER_S)
        if "error" in answer:
            raise SideFailed(f"{self.name}: {work}: {answer['error']}")
        return answer

    async def answer(self, limit_s: float) -> dict[str, Any]:
        """Its next line."""
        assert self.process.stdout is not None
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), limit_s)
        except TimeoutError as late:
            raise SideFailed(f"{self.name}: no answer within {limit_s:g} s") from late
        if not line:
            raise SideFailed(f"{self.name}: ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def side(
    module: str, *arguments: str, python: Path | str = sys.executable, env: Mapping[str, str] | None = None
) -> AsyncIterator[Side]:
    """`python -m module arguments`, ready, for the time of the block. What it logs goes to our standard error."""
    command: Sequence[str] = [str(python), "-m", module, *arguments]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    started = Side(module, process)
    try:
        await started.answer(START_S)
        yield started
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()
