"""Count and control sum: what a header says its items are must be what they are."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from payfiles.amounts import plain
from payfiles.errors import Findings

CountPolicy = Literal["strict", "trust_sum"]
"""`strict`: a wrong count refuses the file. `trust_sum`: it is a warning where a control sum is given beside it
and is right (banks' own samples have such headers); without one, or with a wrong one, it still refuses."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a header says. `count_name` and `sum_name` are its format's words, `location` is where it stands."""

    count: int | None
    control_sum: Decimal | None
    location: str
    count_name: str = "NbOfTxs"
    sum_name: str = "CtrlSum"


@dataclass(frozen=True, slots=True)
class Found:
    """What the items are."""

    count: int
    control_sum: Decimal


def check(stated: Stated, found: Found, policy: CountPolicy, problems: Findings, warnings: Findings) -> None:
    """Adds to `problems` what does not agree, or to `warnings` what `policy` lets pass."""
    sum_agrees = stated.control_sum is not None and stated.control_sum == found.control_sum
    if stated.control_sum is not None and not sum_agrees:
        problems.add(
            "control_sum_mismatch",
            f"{stated.sum_name} says {plain(stated.control_sum)} but the amounts add up to "
            f"{plain(found.control_sum)}: the file is incomplete or was changed, ask its sender for a new one",
            stated.location,
        )
    if stated.count is not None and stated.count != found.count:
        says = f"{stated.count_name} says {stated.count} but there are {found.count} transfers"
        if policy == "trust_sum" and sum_agrees:
            warnings.add("count_mismatch", f"{says}; accepted because {stated.sum_name} is right", stated.location)
        else:
            problems.add(
                "count_mismatch",
                f"{says}: the file is incomplete or was changed, ask its sender for a new one",
                stated.location,
            )
