"""The HTTP API's own tables: keys, and the first answers to requests with an Idempotency-Key."""

from __future__ import annotations

from alembic import op

from migrations.run_sql import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql(op.get_bind(), revision)
