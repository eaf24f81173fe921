"""A payment file on its way: one transfer saga per credit transfer, so many in flight at once.

known already? ──► accounts found, or opened ──► each started, or joined where it was before ──► its outcome

Nothing here is remembered between runs: ids come from the file, so a repeated or interrupted run joins what the
former one started and starts the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from activities.ledger import Ledger
from activities.steps import TransferOrder, TransferStep
from commands.batch_accounts import ACTOR, AccountBook, Unresolved, pocket_of, taken_by_debtor
from commands.transfers import TransferCommands
from domain.errors import DomainError, InvalidInput, NotFound
from domain.streams import transfer_stream
from domain.transfer import FINAL, Transfer, TransferStatus
from payfiles.model import AccountRef, CreditTransfer, PaymentFile

T = TypeVar("T")
R = TypeVar("R")
S = TransferStatus

REFUSED = "refused"
UNSUCCESSFUL = frozenset({REFUSED, S.REJECTED.value, S.COMPENSATED.value, S.STUCK.value, S.CANCELLED.value})
"""Outcomes that did not pay the creditor and will not by themselves."""

_MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one credit transfer. `status` is its transfer's, or `refused` where none was started.

    `joined`: an earlier run had started it. `code` and `reason` say why it was refused, undone or is stuck.
    """

    item: CreditTransfer
    status: str
    from_account: str | None = None
    to_account: str | None = None
    joined: bool = False
    code: str | None = None
    reason: str | None = None

    @property
    def unsuccessful(self) -> bool:
        return self.status in UNSUCCESSFUL


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Outcomes in the file's order, and how many accounts were opened for them."""

    outcomes: tuple[ItemOutcome, ...]
    opened: int


class BatchCommands:
    """Runs payment files. `on_outcome` hears of each item as soon as it is settled."""

    def __init__(self, transfers: TransferCommands, ledger: Ledger, accounts: AccountBook) -> None:
        self._transfers = transfers
        self._ledger = ledger
        self._accounts = accounts

    async def run(
        self,
        file: PaymentFile,
        *,
        open_missing: bool = False,
        in_flight: int = 32,
        on_outcome: Callable[[ItemOutcome], None] = lambda outcome: None,
    ) -> BatchResult:
        """Every item to its end, or to where it waits for somebody.

        Raises what makes going on pointless (NoAnswer, a part unreachable); another run takes it up from there.
        """
        states = await in_parallel(in_flight, file.items, self._state)
        known = {item.transfer_id: state for item, state in zip(file.items, states, strict=True) if state}
        opened = 0
        if open_missing:
            opened = await self._open_missing(file, known, in_flight)

        async def one(item: CreditTransfer) -> ItemOutcome:
            outcome = await self._settle(item, known.get(item.transfer_id))
            on_outcome(outcome)
            return outcome

        return BatchResult(tuple(await in_parallel(in_flight, file.items, one)), opened)

    async def _state(self, item: CreditTransfer) -> Transfer | None:
        state = await self._ledger.state(transfer_stream(item.transfer_id))
        assert isinstance(state, Transfer)
        return None if state.status is S.NONE else state

    async def _open_missing(self, file: PaymentFile, known: dict[str, Transfer], in_flight: int) -> int:
        """Opens what new items need; a debtor gets what the file takes from it, so that it can be tried."""
        moving = [item for item in file.items if pocket_of(item.debtor) != pocket_of(item.creditor)]
        new = [item for item in moving if item.transfer_id not in known]
        refs = {pocket_of(ref): ref for item in new for ref in (item.debtor, item.creditor)}
        found = await in_parallel(in_flight, refs.values(), self._accounts.find)
        missing = [
            ref
            for ref, account in zip(refs.values(), found, strict=True)
            if isinstance(account, Unresolved) and account.missing
        ]
        taken = taken_by_debtor(moving)
        opened = await in_parallel(
            in_flight, missing, lambda ref: self._accounts.open(ref, taken.get(pocket_of(ref)), file.message_id)
        )
        return sum(opened)

    async def _settle(self, item: CreditTransfer, known: Transfer | None) -> ItemOutcome:
        """One item; a refusal is its outcome and no other item's concern."""
        source = target = None
        try:
            if pocket_of(item.debtor) == pocket_of(item.creditor):
                raise InvalidInput("same_account", "cannot transfer to the same account", "to_account")
            if known is not None:
                # Where it goes was decided when it started, whatever other accounts have appeared since.
                source, target = known.from_account, known.to_account
            else:
                source, target = await self._account(item.debtor), await self._account(item.creditor)
            step, joined = await self._transfer(order_of(item, source, target), known)
        except DomainError as refusal:
            return ItemOutcome(item, REFUSED, source, target, code=refusal.code, reason=refusal.message)
        return ItemOutcome(item, step.status.value, source, target, joined, step.failure_code, step.failure_reason)

    async def _account(self, ref: AccountRef) -> str:
        account = await self._accounts.find(ref)
        if isinstance(account, Unresolved):
            raise NotFound(account.code, account.reason)
        return account

    async def _transfer(self, order: TransferOrder, known: Transfer | None) -> tuple[TransferStep, bool]:
        """Where it stands, and whether an earlier run had started it."""
        if known is not None and known.status in FINAL:
            key = f"{transfer_stream(order.transfer_id)}:source:reserve"
            await self._ledger.repeats(key, order)
            return TransferStep.of(known, order.transfer_id), True
        started = await self._transfers.start(order)
        return await self._transfers.resting(order.transfer_id), known is not None or not started


def order_of(item: CreditTransfer, from_account: str, to_account: str) -> TransferOrder:
    """The transfer that pays an item. What the file calls the accounts belongs to its content: another creditor
    under the same ids is another order, and is refused."""
    told = {
        "message_id": item.message_id,
        "payment_info_id": item.payment_info_id,
        "instruction_id": item.instruction_id,
        "end_to_end_id": item.end_to_end_id,
        "debtor_account": item.debtor.identifier,
        "creditor_account": item.creditor.identifier,
        "requested_on": item.requested_on.isoformat() if item.requested_on else "",
        **item.metadata,
    }
    return TransferOrder(
        transfer_id=item.transfer_id,
        from_account=from_account,
        to_account=to_account,
        amount=item.amount,
        reference=item.reference[:_MAX_TEXT] or None,
        purpose=item.purpose[:_MAX_TEXT] or None,
        metadata={key: value[:_MAX_TEXT] for key, value in told.items() if value},
        actor=ACTOR,
    )


async def in_parallel(width: int, things: Iterable[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
    """`work` of each thing, at most `width` at a time; results in order. The first failure ends all the rest."""
    waiting = list(enumerate(things))
    waiting.reverse()
    done: dict[int, R] = {}

    async def worker() -> None:
        while waiting:
            index, thing = waiting.pop()
            done[index] = await work(thing)

    workers = [asyncio.create_task(worker()) for _ in range(min(width, len(waiting)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [done[index] for index in sorted(done)]
