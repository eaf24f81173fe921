"""Starting the proxy process and telling it what to do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.ports import answers, free_port
from stack.process import Child, Command

START_LIMIT_S = 30.0
HERE = Path(__file__).parent


def launch(script: str, argument: list[str], log: Path, port: int) -> Child:
    """One of this folder's standard-library programs, once it listens. It dies with the thread that calls this."""
    argv = [sys.executable, "-I", str(HERE / script), *argument]
    child = Child(Command(argv=argv, env=dict(os.environ), log=log, stop_signals=()))
    deadline = time.monotonic() + START_LIMIT_S
    while not answers(port):
        if child.exit_code() is not None or time.monotonic() > deadline:
            child.kill()
            raise RuntimeError(f"{script} does not listen; see {log}")
        time.sleep(0.05)
    return child


@dataclass(frozen=True)
class Told:
    """How many connections an order cut, and how many answers the link has lost so far."""

    cut: int
    lost: int


class Proxy:
    """Links by name, each from a port of its own to a server's port."""

    def __init__(self, servers: Mapping[str, int], log: Path) -> None:
        self.ports = {link: free_port() for link in servers}
        self._control = free_port()
        links = {
            link: {"port": self.ports[link], "to": to, "postgres": link.endswith("postgres")}
            for link, to in servers.items()
        }
        config = json.dumps({"control": self._control, "links": links})
        self._child = launch("proxy.py", [config], log, self._control)

    async def set(
        self,
        link: str,
        *,
        closed: bool = False,
        stalled: bool = False,
        deaf: bool = False,
        delay_ms: float = 0,
        lose: int = 0,
        cut: bool = False,
    ) -> Told:
        """How the link is from now on; with `cut` the connections there are end at once."""
        state = {"closed": closed, "stalled": stalled, "deaf": deaf, "delay_ms": delay_ms, "lose": lose}
        reader, writer = await asyncio.open_connection("127.0.0.1", self._control)
        writer.write(json.dumps({"link": link, "set": state, "cut": cut}).encode() + b"\n")
        told = json.loads(await reader.readline())
        writer.close()
        return Told(told["cut"], told["lost"])

    def stop(self) -> None:
        self._child.kill()
