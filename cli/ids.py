"""Ids that a user did not name: time-ordered, so that they sort as they were made."""

from __future__ import annotations

import uuid_utils


def new_id(given: str | None = None) -> str:
    """`given`, or a new UUIDv7."""
    return given or str(uuid_utils.uuid7())
