"""Schema changes: Alembic revisions whose SQL lies in `sql/<revision>/`. Forward only."""
