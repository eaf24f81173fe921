"""Commands about transfers: each starts a saga or asks a running one."""

from __future__ import annotations

from temporalio.client import Client

from activities.ledger import Ledger, opening_streams, utc_now
from activities.search import search_attributes
from activities.steps import CancelWish, ResolveWish, ReviewWish, TransferOrder, TransferStep, Wish
from activities.transfers import transfer_terms
from commands.running import WorkflowOver, ask, resting, start_workflow, update_id, workflow_missing
from domain import transfer
from domain.errors import Conflict, NotFound
from domain.leg import Leg
from domain.review import ApproveReview
from domain.streams import transfer_stream
from domain.transfer import Transfer, TransferStatus, must_move
from domain.transfer_legs import open_transfer
from domain.transfer_messages import CancelTransfer, RequestResolution
from settings import Settings
from workflows.transfer import TransferWorkflow


def reserve_key(transfer_id: str) -> str:
    """The command id of a transfer's first step."""
    return f"{transfer_stream(transfer_id)}:source:reserve"


class TransferCommands:
    """`ledger` is only read: every change of a transfer goes through its saga."""

    def __init__(self, client: Client, ledger: Ledger, settings: Settings) -> None:
        self._client = client
        self._ledger = ledger
        self._settings = settings

    async def start(self, order: TransferOrder) -> bool:
        """Starts the saga; False where it had been started before with the same content."""
        must_move(order.amount, order.from_account, order.to_account)
        stream = transfer_stream(order.transfer_id)
        _, started = await start_workflow(
            self._client,
            self._settings,
            TransferWorkflow.run,
            order,
            workflow_id=stream,
            summary=f"{order.amount} {order.from_account} → {order.to_account}",
            search_attributes=search_attributes("transfer", "initiated", order.from_account, order.to_account),
        )
        if not started:
            await self._ledger.repeats(reserve_key(order.transfer_id), order)
        return started

    async def check(self, order: TransferOrder) -> None:
        """Raises the refusal that this order would meet as things stand, before anything is started for it.

        A transfer that its source cannot pay is no refusal: it is started, and its rejection recorded.
        """
        must_move(order.amount, order.from_account, order.to_account)
        stream = transfer_stream(order.transfer_id)
        states = await self._ledger.states(opening_streams(stream, order))
        now, leg = utc_now(), Leg({**states, stream: Transfer()})
        open_transfer(leg, transfer_terms(order, now), now, self._settings.screening)

    async def transfer(self, order: TransferOrder) -> TransferStep:
        """Starts it and says where it stands once it is over or waits for somebody."""
        await self.start(order)
        return await self.resting(order.transfer_id)

    async def resting(self, transfer_id: str) -> TransferStep:
        """Where a started transfer stands once it is over or waits for somebody."""
        handle = self._client.get_workflow_handle(transfer_stream(transfer_id), result_type=TransferStep)
        step: TransferStep = await resting(handle, TransferWorkflow.resting)
        return step

    async def cancel(self, transfer_id: str, wish: CancelWish) -> TransferStep:
        """Cancel; answers cancelled or compensated, refused past the pivot."""
        return await self._ask(transfer_id, "cancel", TransferWorkflow.request_cancel, wish)

    async def signal_cancel(self, transfer_id: str, wish: CancelWish) -> None:
        """Cancel without waiting for an answer."""
        handle = self._client.get_workflow_handle(transfer_stream(transfer_id))
        await handle.signal(TransferWorkflow.cancel, wish)

    async def review(self, transfer_id: str, wish: ReviewWish) -> TransferStep:
        """A reviewer's decision, and where the transfer stands once it has been carried out."""
        await self._ask(transfer_id, "review", TransferWorkflow.request_review, wish)
        return await self.resting(transfer_id)

    async def resolve(self, transfer_id: str, wish: ResolveWish) -> TransferStep:
        """An operator's way out of STUCK."""
        return await self._ask(transfer_id, "resolve", TransferWorkflow.request_resolution, wish)

    async def _ask(self, transfer_id: str, name: str, update: object, wish: Wish) -> TransferStep:
        """`name` is the leg's in its key: a wish that was granted before is answered with what there is now."""
        stream = transfer_stream(transfer_id)
        handle = self._client.get_workflow_handle(stream)
        try:
            step: TransferStep = await ask(handle, update, wish, update_id=update_id(wish))
        except WorkflowOver:
            if await self._ledger.repeats(f"{stream}:{name}:{wish.wish_id}", wish):
                return TransferStep.of(await self._existing(transfer_id), transfer_id)
            raise await self._too_late(transfer_id, wish) from None
        return step

    async def _too_late(self, transfer_id: str, wish: Wish) -> Conflict:
        """Why the wish cannot be granted, in the words of the domain over the transfer as it is now."""
        found, now = await self._existing(transfer_id), utc_now()
        match wish:
            case ReviewWish(actor=actor):
                transfer.decide(ApproveReview(at=now, by=actor), found)
            case ResolveWish(actor=actor, action=action):
                transfer.decide(RequestResolution(at=now, by=actor, action=action), found)
            case _:
                transfer.decide(CancelTransfer(at=now), found)
        return workflow_missing(transfer_stream(transfer_id))

    async def _existing(self, transfer_id: str) -> Transfer:
        found = await self._ledger.state(transfer_stream(transfer_id))
        assert isinstance(found, Transfer)
        if found.status is TransferStatus.NONE:
            raise NotFound("transfer_not_found", f"transfer {transfer_id} does not exist", "transfer_id")
        return found
