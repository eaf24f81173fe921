"""The event log: streams, commands, events, positions, snapshots; functions, triggers and roles."""

from __future__ import annotations

from alembic import op

from migrations.run_sql import run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql(op.get_bind(), revision)
