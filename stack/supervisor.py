"""Runs the whole local stack: starts the parts in order, restarts what dies, stops everything in reverse order.

One thread does all of it and lives until the last child is gone: the kernel's "your parent died" is about threads.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from stack import temporal_external
from stack.control import crash, signals_as_interrupt
from stack.database import DatabaseUrls, prepare_embedded, prepare_external
from stack.errors import AlreadyRunning, PartUnavailable, StackError, StartInterrupted
from stack.files import FileLock, keep_log_small, tail
from stack.info import ProcessRecord, StackInfo, StackState, running_pid
from stack.leftovers import end_leftovers
from stack.parts import OwnProcess, ProcessSpec, StackConfig
from stack.ports import LOOPBACK, PortBook
from stack.postgres import PostgresServer
from stack.process import Identity
from stack.secrets import SecretBook
from stack.temporal import TemporalServer
from stack.temporal_binary import find_or_get
from stack.watched import Part, Watched

TICK_S = 0.1
LOG_CHECK_S = 30.0


class Stack:
    """A running stack. Get one from `up`."""

    def __init__(self, config: StackConfig) -> None:
        self._config = config
        self._data_dir = config.data_dir.resolve()
        self._lock = FileLock(self._data_dir / "stack.lock")
        self._secrets = SecretBook(self._data_dir / "secrets.json")
        self._watched: list[Watched] = []
        self._info = StackInfo()
        self._error: BaseException | None = None
        self._stopping, self._hurry, self._settled = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._live, name="stack-supervisor", daemon=True)
        self._stopped = threading.Event()

    @property
    def info(self) -> StackInfo:
        """How to reach the parts, and their processes as of now."""
        return self._info

    def start(self) -> None:
        """Start everything; returns once all is ready. Raises `StackError`; then nothing is left running."""
        self._data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._thread.start()
        while not self._settled.wait(1.0):
            pass
        if self._error is not None:
            self.stop()
            raise self._error

    def stop(self) -> None:
        """Stop everything, last part first. A Ctrl-C meanwhile makes it hurry (SIGKILL). Safe to call again."""
        self._stopping.set()
        while self._thread.is_alive():
            try:
                self._thread.join(0.2)
            except KeyboardInterrupt:
                self._hurry.set()

    def wait(self, timeout_s: float | None = None) -> None:
        """Wait until SIGINT, SIGTERM or SIGHUP asks to stop, the stack was stopped, or the time is over.

        Raises what the supervisor died of, should it.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            while not self._stopped.wait(0.2):
                if deadline is not None and time.monotonic() > deadline:
                    return
        except KeyboardInterrupt:
            return
        if self._error is not None:
            raise self._error

    def kill(self, part: str) -> list[int]:
        """SIGKILL the processes of a part; the supervisor restarts them. Returns their numbers."""
        return crash(self._data_dir, part)

    def _live(self) -> None:
        """The supervisor thread."""
        try:
            if not self._lock.try_acquire():
                raise AlreadyRunning(self._data_dir, running_pid(self._data_dir) or 0)
            try:
                self._run()
            finally:
                self._end_all()
                self._lock.release()
        except BaseException as error:
            self._error = error
        finally:
            self._settled.set()
            self._stopped.set()

    def _run(self) -> None:
        end_leftovers(self._data_dir, self._config.on_progress)
        self._publish(ready=False)
        started = time.monotonic()
        self._start_parts()
        self._publish(ready=True)
        self._config.on_progress("stack", f"ready after {time.monotonic() - started:.1f} s")
        self._settled.set()
        logs_checked = time.monotonic()
        while not self._stopping.wait(TICK_S):
            self._tend()
            if time.monotonic() - logs_checked > LOG_CHECK_S:
                logs_checked = time.monotonic()
                for watched in self._watched:
                    keep_log_small(watched.part.log)

    def _start_parts(self) -> None:
        config = self._config
        urls = self._start_database()
        self._info = StackInfo(
            api_key=self._secrets.get("operator_key", prefix="tmk_local_"),
            database=urls.app,
            projector_database=urls.projector,
            read_database=urls.reader,
            admin_database=urls.admin,
        )
        if config.prepare is not None:
            config.prepare(self._info)
        self._go_on()
        self._start_temporal()
        for spec in config.processes:
            for index in range(spec.count):
                self._go_on()
                self._add(OwnProcess(spec, index, config, self._info, self._port(spec)))
        for watched in self._watched:  # all were launched together; now wait for each
            if isinstance(watched.part, OwnProcess):
                self._await_ready(watched.part, watched.part.ready_s)

    def _port(self, spec: ProcessSpec) -> int:
        """Of a part that serves HTTP, published as the stack's address of it."""
        if not spec.port_variable:
            return 0
        port = PortBook(self._data_dir / "ports.json").port(spec.part)
        self._info = self._info.model_copy(update={spec.part: f"http://{LOOPBACK}:{port}"})
        return port

    def _start_database(self) -> DatabaseUrls:
        config = self._config
        external = config.env.get("TIDEMARK_DATABASE_URL") or config.env.get("DATABASE_URL")
        if external:
            config.on_progress("postgres", "preparing the database of DATABASE_URL")
            return prepare_external(external, config.migrate)
        config.on_progress("postgres", "starting")
        server = PostgresServer(self._data_dir, config.durable)
        self._watched.append(Watched(server))
        server.start()
        self._publish(ready=False)
        config.on_progress("postgres", "migrating")
        return prepare_embedded(server, self._secrets, config.migrate)

    def _start_temporal(self) -> None:
        config = self._config
        external = config.env.get("TEMPORAL_ADDRESS")
        if external:
            config.on_progress("temporal", "preparing the server of TEMPORAL_ADDRESS")
            temporal_external.prepare_external(config.env, config.search_attributes, config.on_progress)
            self._info = self._info.model_copy(
                update={"temporal": external, "temporal_ui": config.env.get("TEMPORAL_UI", "")}
            )
            return
        binary = find_or_get(config.env, config.on_progress, self._stopping)
        config.on_progress("temporal", "starting")
        server = TemporalServer(binary.path, self._data_dir, config.env, config.search_attributes)
        self._watched.append(Watched(server))
        server.start()
        self._info = self._info.model_copy(update={"temporal": server.address, "temporal_ui": server.ui})
        self._publish(ready=False)

    def _add(self, part: Part) -> None:
        self._config.on_progress(part.name, "starting")
        self._watched.append(Watched(part))
        part.launch()
        self._publish(ready=False)

    def _await_ready(self, part: Part, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while not part.ready():
            self._go_on()
            time.sleep(0.05)
            code = part.child.exit_code() if part.child else None
            if code is not None:
                raise PartUnavailable(part.name, f"ended with {code} while starting: {tail(part.log)}")
            if time.monotonic() > deadline:
                raise PartUnavailable(part.name, f"not ready after {limit_s:.0f} s; see {part.log}")

    def _go_on(self) -> None:
        """Between two steps of a start: end it when somebody asked to stop meanwhile."""
        if self._stopping.is_set():
            raise StartInterrupted("stopped while starting")

    def _tend(self) -> None:
        """Look after every part once: note deaths, start again what is due."""
        now = time.monotonic()
        changed = False
        for watched in self._watched:
            part = watched.part
            if watched.restart_at is None:
                code = part.child.exit_code() if part.child else 0
                if code is not None:
                    wait_s = watched.died(now)
                    self._config.on_progress(part.name, f"died ({code}): starting again in {wait_s:.1f} s")
                    changed = True
            elif now >= watched.restart_at:
                watched.restart_at = None
                self._relaunch(watched)
                changed = True
        if changed:
            self._publish(ready=True)

    def _relaunch(self, watched: Watched) -> None:
        """Start a part again; when even that fails, leave it to the next try."""
        try:
            if watched.part.child is not None:
                watched.part.child.kill()  # what a dead process left in its group
            watched.part.launch()
            self._config.on_progress(watched.part.name, "started again")
        except (StackError, OSError) as error:
            watched.died(time.monotonic())
            self._config.on_progress(watched.part.name, f"cannot start: {error}")

    def _end_all(self) -> None:
        for watched in self._watched:
            if isinstance(watched.part, OwnProcess) and not self._hurry.is_set():
                watched.part.begin_stop()  # all at once; they need not wait for each other
        for watched in reversed(self._watched):
            self._config.on_progress(watched.part.name, "stopping")
            watched.part.stop(self._hurry.is_set())
        StackState.path(self._data_dir).unlink(missing_ok=True)

    def _publish(self, ready: bool) -> None:
        """Write the state file: processes as of now."""
        children = [
            ProcessRecord(part=watched.part.name, pid=identity.pid, started=identity.started)
            for watched in self._watched
            if watched.part.child is not None and watched.part.child.exit_code() is None
            for identity in [watched.part.child.identity]
        ]
        processes: dict[str, list[int]] = {watched.part.name: [] for watched in self._watched}
        for child in children:
            processes[child.part].append(child.pid)
        self._info = self._info.model_copy(update={"processes": processes})
        me = Identity.of(os.getpid())
        supervisor = ProcessRecord(part="supervisor", pid=os.getpid(), started=me.started if me else "")
        StackState(supervisor=supervisor, children=children, ready=ready, info=self._info).write(self._data_dir)


@contextmanager
def up(config: StackConfig) -> Iterator[Stack]:
    """Run the stack for the time of the block. Raises `StackError` when it cannot start.

    SIGTERM and SIGHUP count as Ctrl-C meanwhile (in the main thread), so that they too stop everything in order.
    """
    stack = Stack(config)
    with signals_as_interrupt():
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()
