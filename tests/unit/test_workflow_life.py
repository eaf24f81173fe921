"""The life of a workflow, outside of Temporal."""

from __future__ import annotations

import asyncio

from activities.steps import PaymentStep
from workflows.life import Life


async def test_a_life_that_is_thrown_away_ends_without_a_word() -> None:
    """Temporal drops a workflow from its cache, and Python closes what is left of it outside of any workflow."""
    life: Life[PaymentStep] = Life()

    async def course() -> PaymentStep:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    leading = life.lead(course(), lambda: life.too_late("payment", "payment is not open: p-1"))
    leading.send(None)
    leading.close()
