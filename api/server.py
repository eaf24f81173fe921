"""Composition root of the API process: `starter.py api`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn

from api.app import serve
from api.connections import BoundedConnection
from api.services import open_services
from collecting import spare_what_stays
from settings import Settings

BACKLOG = 2048

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """Signals are the event loop's, so that what comes after serving is still done."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()


async def run(settings: Settings, temporal_address: str | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then lets requests under way finish."""
    api = settings.api
    async with open_services(settings, temporal_address) as services:
        config = uvicorn.Config(
            serve(services),
            http=BoundedConnection,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=api.shutdown_timeout_s,
            timeout_keep_alive=75,
        )
        server = _Server(config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.handle_exit, number, None)
        with _listening(api.host, api.port) as listener:
            host, port = listener.getsockname()[:2]
            spare_what_stays()
            told = asyncio.create_task(_say_ready(server, settings, f"http://{host}:{port}"))
            await server.serve(sockets=[listener])
            told.cancel()
    log.info("api stopped")


def _listening(host: str, port: int) -> socket.socket:
    """Made as TCP by name: asyncio switches Nagle's delay (40 ms an answer) off for such sockets only."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    return listener


async def _say_ready(server: _Server, settings: Settings, url: str) -> None:
    await server.listening.wait()
    if settings.ready_file:
        Path(settings.ready_file).touch()
    log.info("api ready", url=url)
