"""Runs the SQL files of one revision."""

from __future__ import annotations

from pathlib import Path

import psycopg
from sqlalchemy import Connection

_SQL = Path(__file__).parent / "sql"


def run_sql(bind: Connection, revision: str) -> None:
    """Run `sql/<revision>/*.sql` in the order of their names, in the migration's transaction."""
    raw = bind.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    files = sorted((_SQL / revision).glob("*.sql"))
    assert files, f"revision {revision} has no SQL"
    for file in files:
        raw.execute(file.read_bytes())
