"""Ports on the loopback interface: the same ones at every start where they are still free."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from stack.files import write_private

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port nobody listens on. Somebody may take it before you do: be ready to try again."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int, timeout_s: float = 0.5) -> bool:
    """Whether something accepts connections on this loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s):
            return True
    except OSError:
        return False


class PortBook:
    """Remembers which part had which port, in `<data dir>/ports.json`, so that addresses survive a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def port(self, part: str) -> int:
        """The port of `part`: the one it had, if it is free, else a new one, which is remembered."""
        known = self._read()
        port = known.get(part, 0)
        if port and is_free(port):
            return port
        port = free_port()
        while port in known.values():
            port = free_port()
        write_private(self._path, json.dumps({**known, part: port}))
        return port

    def _read(self) -> dict[str, int]:
        try:
            known = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return {str(part): int(port) for part, port in known.items()} if isinstance(known, dict) else {}
