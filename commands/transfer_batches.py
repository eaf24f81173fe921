"""Commands about batches of transfers: take one in, start its saga, ask a running one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel
from temporalio.client import Client

from activities.batch_items import LOCK_BATCH, BatchItemTable
from activities.ledger import fingerprint, utc_now
from activities.search import search_attributes
from activities.steps import BatchOrder, BatchStep, CancelWish, PauseWish, ResumeWish, Wish
from commands.running import WorkflowOver, ask, resting, start_workflow, update_id, workflow_missing
from domain import batch
from domain.batch import MAX_ITEMS, Batch, BatchStatus
from domain.batch_items import BatchItem, Content, item_transfer_id
from domain.batch_messages import (
    AcceptBatch,
    BatchCommand,
    BatchItemsSettled,
    BatchItemsUndone,
    CancelBatch,
    ItemNote,
    PauseBatch,
    ResumeBatch,
)
from domain.catalogue import decode
from domain.errors import Conflict, InvalidInput
from domain.leg import Leg
from domain.streams import batch_stream
from eventstore.events import Appended, AppendRequest
from settings import Settings
from wiring import Books
from workflows.transfer_batch import BatchTransferWorkflow

MAX_ID_CHARS: Final = 100 - len(item_transfer_id("", MAX_ITEMS))
"""Of a batch's id: each item's transfer id begins with it."""

_BREATHE_EVERY: Final = 500


class BatchTerms(BaseModel):
    """What is asked for, but for the items. With their hash it is what makes a repeat the same batch."""

    batch_id: str
    user_id: str | None = None
    atomic: bool = False
    reference: str | None = None
    content_hash: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """`new`: by this call, and durably; otherwise it had been taken before, with the same content."""

    new: bool
    items: int


class TransferBatchCommands:
    """Taking a batch in is one transaction: its items and the event that it is accepted."""

    def __init__(self, client: Client, books: Books, settings: Settings) -> None:
        self._client = client
        self._books = books
        self._settings = settings

    async def submit(
        self, terms: BatchTerms, items: Iterable[BatchItem], actor: str, trace: str | None = None
    ) -> Taken:
        """Take it in and start its saga; harmless if repeated.

        Raises Conflict `idempotency_conflict` for another content under the same id, InvalidInput for no items or
        too many, and what `items` raises: then nothing is kept.
        """
        taken = await self._accept(terms, items, actor, trace)
        await self.start(BatchOrder(batch_id=terms.batch_id, actor=actor, trace=trace), taken.items)
        return taken

    async def start(self, order: BatchOrder, items: int) -> None:
        """Start the saga of a batch that was taken in."""
        await start_workflow(
            self._client,
            self._settings,
            BatchTransferWorkflow.run,
            order,
            workflow_id=batch_stream(order.batch_id),
            summary=f"{items} transfers",
            search_attributes=search_attributes("batch", "running"),
        )

    async def resting(self, batch_id: str) -> BatchStep:
        """Where it stands once it is over or paused."""
        handle = self._client.get_workflow_handle(batch_stream(batch_id), result_type=BatchStep)
        step: BatchStep = await resting(handle, BatchTransferWorkflow.resting)
        return step

    async def show(self, batch_id: str) -> BatchStep:
        """Where it stands now, from the log itself. Raises NotFound."""
        return BatchStep.of(await self._existing(batch_id), batch_id)

    async def notes(self, batch_id: str) -> list[ItemNote]:
        """The items whose outcome is not the plain one, and why, in order; of each the last."""
        found: dict[int, ItemNote] = {}
        for record in await self._books.store.load(batch_stream(batch_id)):
            event = decode(record.stream, record.type, record.schema_version, record.data)
            if isinstance(event, BatchItemsSettled | BatchItemsUndone):
                found.update((note.item, note) for note in event.notes)
        return [found[item] for item in sorted(found)]

    async def pause(self, batch_id: str, wish: PauseWish) -> BatchStep:
        """Settle nothing more until it is resumed."""
        return await self._ask(batch_id, "pause", BatchTransferWorkflow.request_pause, wish)

    async def resume(self, batch_id: str, wish: ResumeWish) -> BatchStep:
        """Go on with a paused one."""
        return await self._ask(batch_id, "resume", BatchTransferWorkflow.request_resume, wish)

    async def cancel(self, batch_id: str, wish: CancelWish) -> BatchStep:
        """Do not carry out what is not settled; undo an atomic one. Answers with what stays."""
        return await self._ask(batch_id, "cancel", BatchTransferWorkflow.request_cancel, wish)

    async def _accept(self, terms: BatchTerms, items: Iterable[BatchItem], actor: str, trace: str | None) -> Taken:
        batch_id, stream = terms.batch_id, batch_stream(terms.batch_id)
        if len(batch_id) > MAX_ID_CHARS:
            raise InvalidInput("invalid_id", f"a batch's id may have {MAX_ID_CHARS} characters", "batch_id")
        async with self._books.store.transaction() as connection:
            await connection.execute(LOCK_BATCH, {"batch_id": batch_id})
            known = (await self._books.bulk.refresh([stream]))[stream]
            if known.version:
                content = Content()
                async for item in _breathing(items):
                    content.add(item)
            else:
                content = await BatchItemTable.write(connection, batch_id, _breathing(items))
            if not content.items:
                raise InvalidInput("no_items", "a batch needs at least one item", "items")
            asked = terms.model_copy(update={"content_hash": content.hash})
            if known.version:
                await self._must_repeat(asked)
                return Taken(new=False, items=content.items)
            leg = Leg({stream: known.state})
            now = utc_now()
            accept = AcceptBatch(
                at=now,
                items=content.items,
                submitted=content.submitted,
                chunk=self._settings.batch_chunk,
                **asked.model_dump(),
            )
            leg.on_batch(batch_id, accept)
            told = {"correlation_id": stream, "actor": actor} | ({"traceparent": trace} if trace else {})
            request = AppendRequest(
                f"{stream}:accept", fingerprint(asked), (), told, {"items": content.items}, now
            )
            draft = self._books.bulk.draft(request, {stream: known}, leg.states, leg.events)
            [outcome] = await self._books.store.append_prepared_on(connection, [draft.prepared])
            assert isinstance(outcome, Appended), f"under the batch's lock: {outcome}"
        return Taken(new=True, items=content.items)

    async def _must_repeat(self, asked: BatchTerms) -> None:
        stored = await self._books.store.find_command(f"{batch_stream(asked.batch_id)}:accept")
        if stored is None or stored.fingerprint != fingerprint(asked):
            raise Conflict(
                "idempotency_conflict", f"batch {asked.batch_id} exists with another content", "batch_id"
            )

    async def _ask(self, batch_id: str, name: str, update: object, wish: Wish) -> BatchStep:
        stream = batch_stream(batch_id)
        try:
            step: BatchStep = await ask(
                self._client.get_workflow_handle(stream), update, wish, update_id=update_id(wish)
            )
        except WorkflowOver:
            if await self._books.ledger.repeats(f"{stream}:{name}:{wish.wish_id}", wish):
                return await self.show(batch_id)
            raise await self._too_late(batch_id, wish) from None
        return step

    async def _too_late(self, batch_id: str, wish: Wish) -> Conflict:
        """Why the wish cannot be granted, in the words of the domain over the batch as it is now."""
        found, now = await self._existing(batch_id), utc_now()
        command: BatchCommand
        match wish:
            case PauseWish():
                command = PauseBatch(at=now, by=wish.actor)
            case ResumeWish():
                command = ResumeBatch(at=now, by=wish.actor)
            case _:
                command = CancelBatch(at=now, by=wish.actor)
        batch.decide(command, found)
        return workflow_missing(batch_stream(batch_id))

    async def _existing(self, batch_id: str) -> Batch:
        found = await self._books.ledger.state(batch_stream(batch_id))
        assert isinstance(found, Batch)
        found.must_be(*(status for status in BatchStatus if status is not BatchStatus.NONE))
        return found


async def _breathing(items: Iterable[BatchItem]) -> AsyncIterator[BatchItem]:
    """The items; others get their turn now and then. Raises InvalidInput for more than a batch may have."""
    for item in items:
        if item.item > MAX_ITEMS:
            raise InvalidInput("too_many_items", f"a batch may have {MAX_ITEMS} items", "items")
        if item.item % _BREATHE_EVERY == 0:
            await asyncio.sleep(0)
        yield item
