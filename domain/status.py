"""Whether something stands where a command is possible: one rule, code and wording for whatever has a status."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from domain.errors import NotFound, WrongState


def must_be_in(allowed: Collection[StrEnum], kind: str, subject_id: str, status: StrEnum) -> None:
    """Raises NotFound where nothing has happened yet (status `none`), WrongState in a status not allowed."""
    name = kind.replace("_", " ")
    if status == "none":
        raise NotFound(f"{kind}_not_found", f"{name} does not exist")
    if status not in allowed:
        wanted = " or ".join(allowed)
        raise WrongState(f"wrong_{kind}_status", f"{name} is not in {wanted} status: {subject_id} is {status}")
