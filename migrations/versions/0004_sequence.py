"""No gap in the append ids is forgotten while its transaction is open."""

from __future__ import annotations

from alembic import op

from migrations.run_sql import run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql(op.get_bind(), revision)
