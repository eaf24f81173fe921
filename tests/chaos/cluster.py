"""The system under test: two workers, two projectors, two APIs, Postgres and Temporal as real processes, with our
proxy between ours and the servers, another bank's gateway and a rate provider. All in one data directory, all
stopped at the end.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import psutil

import stack
from cli.local import stack_config
from stack.database import APP, PROJECTOR, READER
from stack.ports import LOOPBACK, PortBook, free_port
from stack.postgres import DATABASE, PostgresServer
from stack.secrets import SecretBook
from tests.chaos.disk import Disk, NoDisk
from tests.chaos.proxied import Proxy, launch
from tests.chaos.schedule import LINKS
from tests.fixtures.processes import ROOT

RAIL = "farbank"
WORKERS = PROJECTORS = 2
REVIEW_ABOVE = 65_00
LIMITS = {
    # Short limits, so that pauses of seconds go past them.
    "TIDEMARK_WORKFLOW_TASK_TIMEOUT_S": "3",
    "TIDEMARK_API__REQUEST_TIMEOUT_S": "8",
    "TIDEMARK_API__OUTCOME_TIMEOUT_S": "6",
    "TIDEMARK_RAIL_TIMEOUT_S": "1.5",
    "TIDEMARK_LOG_LEVEL": "WARNING",
    # Several chunks a batch; what is above this is held for review, and escalated soon where nobody decides.
    "TIDEMARK_BATCH_CHUNK": "5",
    "TIDEMARK_SCREENING__REVIEW_ABOVE": str(REVIEW_ABOVE // 100),
    "TIDEMARK_FRAUD_DECIDE_WITHIN_S": "5",
}
GATES = (
    *("payment.open", "payment.capture", "payment.cancel", "payment.refund"),
    *("transfer.reserve", "transfer.debit", "transfer.credit", "transfer.refund", "transfer.release"),
    *("batch.settle", "batch.release", "batch.undo", "payment.review", "fraud_case.open", "fraud_case.decide"),
    *("order.place", "order.amend", "order.cancel", "trade.settle", "trade.bust", "standing_order.run"),
)
"""Steps at which a process can be made to wait after its commit: see failpoints.py."""


@dataclass(frozen=True)
class Cluster:
    """How to reach it, and how to hurt it. Addresses are direct ones, past the proxy."""

    data: Path
    running: stack.Stack
    proxy: Proxy
    disk: Disk | None
    no_disk: str
    """Why there is no disk to fill."""
    apis: tuple[str, ...]
    rail: str

    @property
    def info(self) -> stack.StackInfo:
        return self.running.info

    def processes(self, part: str) -> list[psutil.Process]:
        """Of a part, as they are now; a server's children after it."""
        parts = ("api", "api2") if part == "api" else (part,)
        found = []
        for pid in [pid for name in parts for pid in self.info.processes.get(name, ())]:
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                found += [process, *process.children(recursive=True)]
        return found

    def one_or_all(self, part: str, dice: int) -> list[psutil.Process]:
        """Of a part with several processes mostly one, else all of it."""
        found = self.processes(part)
        if part in ("postgres", "temporal") or dice % 4 == 0 or not found:
            return found
        return [found[dice % len(found)]]

    def gate(self, part: str, step: str) -> Path:
        """While this file is missing, `part` waits after its next commit of `step`."""
        return self.data / "gates" / part / step


def send(processes: list[psutil.Process], number: signal.Signals) -> int:
    """How many got it."""
    sent = 0
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)
            sent += 1
    return sent


@contextmanager
def cluster(data: Path, seed: int, wants_disk: bool, progress: stack.Progress) -> Iterator[Cluster]:
    """Up for the time of the block. Call from the main thread: the helpers die with it."""
    data = data.resolve()
    with ExitStack() as closing:
        disk, no_disk = _disk(data) if wants_disk else (None, "not asked for")
        if disk is not None:
            closing.callback(disk.unmount)
        ports = PortBook(data / "ports.json")
        servers = {name: ports.port(name) for name in ("postgres", "temporal")}
        proxy = Proxy({link: servers[link.rpartition("-")[2]] for link in LINKS}, data / "logs" / "proxy.log")
        closing.callback(proxy.stop)
        rail_port = free_port()
        rail = launch("rail.py", [str(rail_port), str(seed)], data / "logs" / "rail.log", rail_port)
        closing.callback(rail.kill)
        rates_port = free_port()
        rates = launch("rates.py", [str(rates_port), str(seed)], data / "logs" / "rates.log", rates_port)
        closing.callback(rates.kill)
        rail_url = f"http://{LOOPBACK}:{rail_port}"
        for part in ("worker", "api"):
            for step in GATES:
                gate = data / "gates" / part / step
                gate.parent.mkdir(parents=True, exist_ok=True)
                gate.touch()
        second_api = free_port()
        config = stack_config(data, progress)
        env = {key: value for key, value in os.environ.items() if key not in _NOT_OURS}
        limits = {**LIMITS, "TIDEMARK_RAILS": f'{{"{RAIL}": "{rail_url}"}}'}
        limits["TIDEMARK_FX__RATES_URL"] = f"http://{LOOPBACK}:{rates_port}"
        config = replace(
            config,
            env={**env, **limits},
            processes=_processes(data, proxy, second_api),
            durable=False,  # a killed process loses nothing that it wrote; a power cut is not among the faults
        )
        running = closing.enter_context(stack.up(config))
        apis = (running.info.api, f"http://{LOOPBACK}:{second_api}")
        try:
            yield Cluster(data, running, proxy, disk, no_disk, apis, rail_url)
        finally:
            if disk is not None:
                disk.free()
            for part in running.info.processes:  # whoever is paused could not be told to stop
                for pid in running.info.processes[part]:
                    with suppress(psutil.Error):
                        send([psutil.Process(pid), *psutil.Process(pid).children(True)], signal.SIGCONT)


_NO_WORKER = {"TIDEMARK_API__WORKER": "false"}
"""Of one API, so that what begins there is for the workers to do."""
_NOT_OURS = ("DATABASE_URL", "TIDEMARK_DATABASE_URL", "TEMPORAL_ADDRESS")


def _disk(data: Path) -> tuple[Disk | None, str]:
    """The cluster's files are made first: initdb cannot move them onto a mount."""
    server = PostgresServer(data, durable=False)
    server.start()
    server.stop()
    try:
        return Disk(data / "postgres"), ""
    except NoDisk as why:
        return None, str(why)


def _processes(data: Path, proxy: Proxy, second_api: int) -> list[stack.ProcessSpec]:
    """Ours, each on its own link. Passwords and ports are those that the stack is going to use."""
    secrets = SecretBook(data / "secrets.json")

    def url(role: str, part: str) -> str:
        port = proxy.ports[f"{part}-postgres"]
        return f"postgresql://{role}:{quote(secrets.get(role), safe='')}@{LOOPBACK}:{port}/{DATABASE}"

    def env(part: str, role: str) -> dict[str, str]:
        app = {"TIDEMARK_DATABASE_URL": url(role, part), "DATABASE_URL": url(role, part)}
        rest = {
            "TIDEMARK_PROJECTOR_DATABASE_URL": url(PROJECTOR, part),
            "TIDEMARK_READ_DATABASE_URL": url(READER, part),
        }
        if part == "projector":
            return app | rest
        gates = ",".join(f"{step}:after_commit=pause:{data}/gates/{part}/{step}" for step in GATES)
        temporal = f"{LOOPBACK}:{proxy.ports[f'{part}-temporal']}"
        return app | rest | {"TEMPORAL_ADDRESS": temporal, "TIDEMARK_FAILPOINT": gates}

    def spec(part: str, env: dict[str, str], count: int = 1, **more: str) -> stack.ProcessSpec:
        program = {"projector": ["projector.py"], "worker": ["worker.py"]}.get(part, ["starter.py", "api"])
        argv = [sys.executable, str(ROOT / program[0]), *program[1:]]
        return stack.ProcessSpec(part, argv, count, env={**env, **more}, ready_s=180.0)

    api = env("api", APP)
    return [
        spec("projector", env("projector", PROJECTOR), PROJECTORS),
        spec("worker", env("worker", APP), WORKERS),
        replace(spec("api", api), port_variable="TIDEMARK_API__PORT", stop_s=10.0),
        replace(spec("api2", api | _NO_WORKER, TIDEMARK_API__PORT=str(second_api)), stop_s=10.0),
    ]
