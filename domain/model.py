"""What commands and events have in common, and the shapes of ids and names."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
"""A business id: letters, digits and ._:- up to 100 characters, the first a letter or digit."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=250)]
"""A name made by Tidemark itself: a stream, a hold, a leg's key."""

Text = Annotated[str, StringConstraints(max_length=500)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=50)]
Metadata = dict[Annotated[str, StringConstraints(min_length=1, max_length=50)], Text]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Command(_Frozen):
    """A wish. `at` is the time of the decision, given by the caller: nothing in the domain asks a clock."""

    at: AwareDatetime


class Event(_Frozen):
    """A fact. `schema_version` says which shape its stored JSON has; `catalogue` knows the older ones."""

    schema_version: ClassVar[int] = 1


__all__ = ["AwareDatetime", "Command", "Event", "Id", "Metadata", "Name", "Tag", "Text"]
