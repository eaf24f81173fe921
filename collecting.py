"""The garbage collector of a process that lives long."""

from __future__ import annotations

import gc

YOUNG = 10_000
"""Objects made and kept before the youngest are looked through; Python's own 700 is a fraction of one batch."""


def spare_what_stays() -> None:
    """Leaves all that has been imported and set up so far out of every collection to come (docs/adr/0066).

    It is there for good; looking through it again and again was a sixth of the CPU of projecting an event.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
