"""The local Temporal server: one process with frontend, history, matching, web UI and a SQLite file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from temporalio.service import ConnectConfig, RPCError, ServiceClient

from stack.errors import PartUnavailable
from stack.files import tail
from stack.ports import LOOPBACK, PortBook, answers
from stack.process import Child, Command

START_LIMIT_S = 60.0

SEARCH_ATTRIBUTES = {
    "TidemarkStatus": "Keyword",
    "TidemarkAccounts": "KeywordList",
    "TidemarkUser": "Keyword",
    "TidemarkKind": "Keyword",
}

# Without the pragmas a server on a file does half as much a second; the log still reaches the disk at checkpoints,
# and what SQLite would lose in a power cut `verify` and `repair` bring back from the event store.
_SQLITE = {"journal_mode": "wal", "synchronous": "normal"}

# One user, one machine: no limit meant for tenants of a shared cluster should stand in a load test's way.
_DYNAMIC = {
    "system.enableActivityEagerExecution": "true",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "frontend.namespaceCount": "100000",  # waiting polls, queries and updates per kind of call; default 1200
    "frontend.rps": "100000",
    "frontend.namespaceRPS": "100000",
    "frontend.namespaceRPS.visibility": "10000",  # default 10 a second
    "frontend.persistenceMaxQPS": "100000",
    "history.rps": "100000",
    "history.persistenceMaxQPS": "100000",
    "matching.rps": "100000",
    "matching.persistenceMaxQPS": "100000",
    "frontend.enableServerVersionCheck": "false",
}


class TemporalServer:
    """One local Temporal server on one data directory. Start it from a thread that outlives it (see `Child`)."""

    name = "temporal"

    def __init__(
        self,
        program: Path,
        data_dir: Path,
        env: Mapping[str, str],
        search_attributes: Mapping[str, str] = SEARCH_ATTRIBUTES,
    ) -> None:
        self._program = program
        self._data_dir = data_dir.resolve()
        self._env = env
        self._search_attributes = search_attributes
        self._ports = PortBook(self._data_dir / "ports.json")
        self._port = self._ui_port = 0
        self._child: Child | None = None
        self.log = self._data_dir / "logs" / "temporal.log"

    @property
    def address(self) -> str:
        """`host:port` for Temporal clients."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def ui(self) -> str:
        """The web UI's address."""
        return f"http://{LOOPBACK}:{self._ui_port}"

    @property
    def child(self) -> Child | None:
        """The running server, None before the first start."""
        return self._child

    def start(self) -> None:
        """Start and wait until it answers, its web UI too. Raises `PartUnavailable`."""
        self.launch()
        deadline = time.monotonic() + START_LIMIT_S
        while not self.ready():
            if self._child is None or self._child.exit_code() is not None:
                raise PartUnavailable("temporal", f"ended while starting: {tail(self.log)}")
            if time.monotonic() > deadline:
                raise PartUnavailable("temporal", f"not ready after {START_LIMIT_S:.0f} s; see {self.log}")
            time.sleep(0.1)

    def launch(self) -> None:
        """Start without waiting."""
        folder = self._data_dir / "temporal"
        folder.mkdir(parents=True, exist_ok=True)
        self._port = self._port or self._ports.port("temporal")
        self._ui_port = self._ui_port or self._ports.port("temporal_ui")
        argv = [str(self._program), "server", "start-dev", "--ip", LOOPBACK, "--port", str(self._port)]
        argv += ["--ui-port", str(self._ui_port), "--db-filename", str(folder / "temporal.db")]
        argv += ["--log-level", "warn", "--log-format", "json", "--color", "never"]
        argv += [word for key, value in _SQLITE.items() for word in ("--sqlite-pragma", f"{key}={value}")]
        argv += [word for key, value in _DYNAMIC.items() for word in ("--dynamic-config-value", f"{key}={value}")]
        attributes = self._search_attributes.items()
        argv += [word for key, kind in attributes for word in ("--search-attribute", f"{key}={kind}")]
        # The user's own profiles and TEMPORAL_* settings are for clients; here they would change the server.
        env = {key: value for key, value in self._env.items() if not key.startswith("TEMPORAL_")}
        self._child = Child(Command(argv=argv, env=env, log=self.log, cwd=folder))

    def ready(self) -> bool:
        """Whether the server says it serves, and its web UI accepts connections."""
        return answers(self._port) and answers(self._ui_port) and serves(self.address)

    def stop(self, hurry: bool = False) -> None:
        """Stop the server; running workflows go on at its next start."""
        if self._child is not None:
            self._child.stop(hurry)


def serves(address: str, timeout_s: float = 3.0) -> bool:
    """Whether a Temporal frontend without TLS answers its health check at `address`."""
    return asyncio.run(_serves(address, timedelta(seconds=timeout_s)))


async def _serves(address: str, limit: timedelta) -> bool:
    try:
        service = await ServiceClient.connect(ConnectConfig(target_host=address, connect_timeout=limit))
        return await service.check_health(timeout=limit)
    except (RuntimeError, RPCError):
        return False
