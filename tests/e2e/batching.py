"""Batches for tests: accounts of a run's own, items between them, and what must be true at the end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from activities.steps import CancelWish, PauseWish, ResumeWish
from commands.transfer_batches import BatchTerms, Taken
from domain.batch_items import BatchItem
from tests.e2e.system import System, eur

Wanted = tuple[str, str, str]
"""From, to, amount in EUR; accounts without the run's name."""


def items_of(run: str, wanted: Iterable[Wanted]) -> list[BatchItem]:
    return [
        BatchItem(number, f"{run}-{source}", f"{run}-{target}", eur(amount))
        for number, (source, target, amount) in enumerate(wanted, 1)
    ]


async def submit(under_test: System, run: str, wanted: Iterable[Wanted], *, atomic: bool = False) -> Taken:
    terms = BatchTerms(batch_id=run, atomic=atomic)
    return await under_test.batches.submit(terms, items_of(run, wanted), "test")


async def ring(under_test: System, run: str, accounts: int = 4, balance: str = "100.00") -> list[str]:
    """Accounts 0, 1, … with money each."""
    names = [str(number) for number in range(accounts)]
    for name in names:
        await under_test.open_account(f"{run}-{name}", balance)
    return names


def around(names: list[str], items: int, amount: str = "1.00") -> list[Wanted]:
    """Each account pays the next one, round and round."""
    return [(names[number % len(names)], names[(number + 1) % len(names)], amount) for number in range(items)]


async def balances(under_test: System, run: str, names: Iterable[str]) -> dict[str, tuple[str, str]]:
    return {name: await under_test.balance(f"{run}-{name}") for name in names}


async def must_add_up(under_test: System) -> None:
    """No finding, nothing open, nothing lost."""
    audit = await under_test.audit()
    assert audit.findings == []
    assert audit.open_streams() == set()
    assert all(total.difference == 0 for total in audit.conservation().values())


# --- whole lives, for tests and for the histories that are replayed ----------------------------------------


async def mixed(under_test: System, run: str, _gate: Path) -> None:
    """Items of every kind; one is handed over."""
    await ring(under_test, run, 2, "20100.00")
    await submit(under_test, run, [("0", "1", "1.00"), ("0", "nobody", "1.00"), ("0", "1", "20000.00")])
    step = await under_test.batches.resting(run)
    assert (step.completed, step.rejected, step.started) == (1, 1, 1)


async def undone(under_test: System, run: str, _gate: Path) -> None:
    """An atomic one that turns back over many chunks."""
    names = await ring(under_test, run)
    await submit(under_test, run, [*around(names, 2500, "0.01"), ("0", "1", "1000.00")], atomic=True)
    assert (await under_test.batches.resting(run)).status == "compensated"


async def paused_and_cancelled(under_test: System, run: str, _gate: Path) -> None:
    """Asked while it runs, long enough to be."""
    names = await ring(under_test, run)
    await submit(under_test, run, around(names, 40_000, "0.01"))
    assert (await under_test.batches.pause(run, PauseWish(wish_id="p1"))).status == "paused"
    assert (await under_test.batches.resume(run, ResumeWish(wish_id="r1"))).status == "running"
    assert (await under_test.batches.cancel(run, CancelWish(wish_id="c1"))).status == "cancelled"
