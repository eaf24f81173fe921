"""Batches of transfers: what they ask for, and locks for big appends."""

from __future__ import annotations

from alembic import op

from migrations.run_sql import run_sql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql(op.get_bind(), revision)
