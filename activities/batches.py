"""The steps of a batch: stretches of its way, wishes about it, and handing items over to sagas of their own."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.batch_items import BatchItemTable
from activities.batch_run import BatchRun
from activities.ledger import Ledger, LedgerCommand, utc_now
from activities.refusals import refusals
from activities.search import search_attributes
from activities.steps import BatchOrder, BatchStep, CancelWish, PauseWish, ResumeWish, TransferOrder, Wish
from domain.batch_items import BatchItem, item_stream, item_transfer_id
from domain.batch_messages import (
    BatchCommand,
    BatchItemsSettled,
    BatchItemsUndone,
    CancelBatch,
    PauseBatch,
    ResumeBatch,
)
from domain.catalogue import decode
from domain.leg import State
from domain.streams import batch_stream
from eventstore.bulk import BulkWriter
from eventstore.store import EventStore
from failpoints import reach
from settings import Settings

STRETCH_S: Final = 1.0
"""How long one step goes on before the workflow hears what was asked meanwhile: a pause works within this time."""

STARTS_AT_ONCE: Final = 16
START_TIMEOUT: Final = timedelta(seconds=10)


class Stretch(BaseModel):
    """Where the batch stands after a stretch, and at which version. `noted_after`: since that version items were
    settled that wait for a saga of their own."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    step: BatchStep
    noted_after: int | None = None
    version: int = 0


def batch_queue(task_queue: str) -> str:
    """Where the stretches of batches wait. A stretch takes a second of a core and remembers thousands of accounts:
    it is for workers, and not for an API that answers people, though that takes up other work.
    """
    return f"{task_queue}-batches"


class BatchActivities:
    """Bound to a process's ledger, store and Temporal client in worker.py."""

    def __init__(  # noqa: PLR0917 – what a process has
        self,
        client: Client,
        ledger: Ledger,
        store: EventStore,
        bulk: BulkWriter[State],
        table: BatchItemTable,
        settings: Settings,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._store = store
        self._bulk = bulk
        self._table = table
        self._settings = settings

    @activity.defn
    async def advance_batch(self, order: BatchOrder, known: Stretch | None = None) -> Stretch:
        """A second of its way: settle, release or undo, chunk after chunk. Does nothing where nothing is due.

        `known` is as far as the workflow has seen to the items. What this very try finds done counts as news, too:
        an earlier one may have done it and died.
        """
        metadata = {"actor": order.actor} | ({"traceparent": order.trace} if order.trace else {})
        run = BatchRun(order.batch_id, metadata, self._bulk, self._table, self._settings, activity.heartbeat)
        with refusals():
            batch, version = await run.go(STRETCH_S)
        step = BatchStep.of(batch, order.batch_id)
        started, stuck, seen = (known.step.started, known.step.stuck, known.version) if known else (0, 0, 0)
        noted = step.started > started or step.stuck > stuck
        return Stretch(step=step, noted_after=seen if noted else None, version=version)

    @activity.defn
    async def hand_over_items(self, order: BatchOrder, noted_after: int) -> None:
        """Start the sagas of items that a stretch has opened as transfers of their own; harmless if repeated."""
        stream, room = batch_stream(order.batch_id), asyncio.Semaphore(STARTS_AT_ONCE)
        for record in await self._store.load(stream, noted_after):
            event = decode(record.stream, record.type, record.schema_version, record.data)
            if not isinstance(event, BatchItemsSettled | BatchItemsUndone):
                continue
            waiting = {note.item for note in event.notes if note.status != "rejected"}
            if not waiting:
                continue
            items = await self._table.read(order.batch_id, event.first, event.last)
            await asyncio.gather(*(self._start(order, item, room) for item in items if item.item in waiting))

    async def _start(self, order: BatchOrder, item: BatchItem, room: asyncio.Semaphore) -> None:
        stream, transfer = item_stream(order.batch_id, item.item), transfer_order(order, item)
        async with room:
            await reach("batch.hand_over:before_start")
            # Its saga may run already, or be over.
            with contextlib.suppress(WorkflowAlreadyStartedError):
                await self._client.start_workflow(
                    "TransferWorkflow",
                    transfer,
                    id=stream,
                    task_queue=self._settings.task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    task_timeout=timedelta(seconds=self._settings.workflow_task_timeout_s),
                    rpc_timeout=START_TIMEOUT,
                    static_summary=f"{item.amount} {item.from_account} → {item.to_account} ({order.batch_id})",
                    search_attributes=search_attributes(
                        "transfer", "initiated", item.from_account, item.to_account
                    ),
                )
            activity.heartbeat()

    @activity.defn
    async def pause_batch(self, order: BatchOrder, wish: PauseWish) -> BatchStep:
        """Nothing more is settled until it is resumed."""
        return await self._wish("pause", order, wish, PauseBatch(at=utc_now(), by=wish.actor, reason=wish.reason))

    @activity.defn
    async def resume_batch(self, order: BatchOrder, wish: ResumeWish) -> BatchStep:
        """On it goes."""
        return await self._wish("resume", order, wish, ResumeBatch(at=utc_now(), by=wish.actor))

    @activity.defn
    async def cancel_batch(self, order: BatchOrder, wish: CancelWish) -> BatchStep:
        """What is not settled is not carried out; an atomic batch turns back."""
        return await self._wish(
            "cancel", order, wish, CancelBatch(at=utc_now(), by=wish.actor, reason=wish.reason)
        )

    async def _wish(self, name: str, order: BatchOrder, wish: Wish, command: BatchCommand) -> BatchStep:
        stream, batch_id = batch_stream(order.batch_id), order.batch_id
        with refusals():
            return await self._ledger.run(
                LedgerCommand(
                    name=f"batch.{name}",
                    key=f"{stream}:{name}:{wish.wish_id}",
                    content=wish,
                    streams=[stream],
                    act=lambda leg: leg.on_batch(batch_id, command),
                    result=lambda leg: BatchStep.of(leg.batch(batch_id), batch_id),
                    returns=BatchStep,
                    actor=wish.actor,
                    trace=wish.trace,
                    if_version=wish.if_version,
                    repeat_shows_now=True,
                )
            )


def transfer_order(order: BatchOrder, item: BatchItem) -> TransferOrder:
    """The order of a saga that takes an item on."""
    return TransferOrder(
        transfer_id=item_transfer_id(order.batch_id, item.item),
        from_account=item.from_account,
        to_account=item.to_account,
        amount=item.amount,
        reference=item.reference,
        purpose=item.purpose,
        metadata=item.metadata,
        actor=order.actor,
        trace=order.trace,
    )
