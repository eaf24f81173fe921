"""`starter.py api`: the HTTP API as a process of its own."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer

from cli.output import JsonOption
from cli.session import DATA, DataOption, addresses, guarded
from settings import Settings


def register(app: typer.Typer) -> None:
    """Puts the command of this module on the main application."""
    app.command()(api)


def api(
    host: Annotated[str | None, typer.Option(help="Where to listen; loopback where it is not given.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Serve the HTTP API, over DATABASE_URL and TEMPORAL_ADDRESS or the local stack that is up."""
    # Only here: other commands need not wait for a web server's imports.
    from api.logs import configure_logging
    from api.server import run

    def work() -> None:
        settings, temporal = _where(data)
        given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
        settings = settings.model_copy(update={"api": settings.api.model_copy(update=given)})
        configure_logging(settings.log_level)
        asyncio.run(run(settings, temporal))

    guarded(as_json, work)


def _where(data: DataOption) -> tuple[Settings, str | None]:
    """The environment's servers where it names both, else the local stack's."""
    settings = Settings()
    if settings.database_url and os.environ.get("TEMPORAL_ADDRESS"):
        return settings, None
    info = addresses(data)
    urls = {
        "database_url": info.database,
        "projector_database_url": info.projector_database,
        "read_database_url": info.read_database,
    }
    return settings.model_copy(update=urls), info.temporal
