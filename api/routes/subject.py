"""What payments, transfers, orders and batches have in common on the wire: a stream, users, wishes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from starlette.responses import Response

from activities.ledger import fingerprint
from activities.steps import PaymentOrder, TransferOrder
from activities.trading_steps import TradingOrder
from api.call import Call, answer, must_match, version_of
from api.idempotency import REPLAYED
from api.routes.timeline import timeline
from domain.errors import NotFound, WrongState
from eventstore.events import RecordedEvent
from queries.reader import Question


class Shown(Protocol):
    """What an answer about one of them says, whichever it is."""

    @property
    def version(self) -> int: ...


View = TypeVar("View", bound=Shown)


@dataclass(frozen=True, slots=True)
class Subject(Generic[View]):
    """`standing`: where one stands by all of its events; `question`: where by the view. `users`: whose it is."""

    name: str
    stream: Callable[[str], str]
    standing: Callable[[Sequence[RecordedEvent]], View]
    question: Callable[[str], Question[View]]
    users: Callable[[View], Sequence[str | None]]

    async def show(self, call: Call, subject_id: str) -> Response:
        """As the view has it, for who may see it."""
        missing = self._missing(subject_id).message
        return await call.ask(self.question(subject_id), seen_by=self.users, missing=missing, etag=True)

    async def begin(  # noqa: PLR0917 – an order and what is done with it
        self,
        call: Call,
        subject_id: str,
        order: PaymentOrder | TransferOrder | TradingOrder,
        first_key: str,
        check: Callable[[], Awaitable[None]],
        start: Callable[[], Awaitable[object]],
        status: int,
    ) -> Response:
        """Started, or joined where it was there before; answered as its first durable step left it, the one under
        the command id `first_key`.

        So the answer follows from the log: where it could not be kept, a repeat makes the very same one again.
        """
        for field, account_id in _own(order):
            await call.must_own(account_id, field)
        stream = self.stream(subject_id)
        stored, new = await call.services.first_step.taken(stream, first_key, fingerprint(order), check, start)
        stored = await call.numbered(stored)
        events = [event for event in stored if event.stream == stream]
        headers = {"Location": f"/v1/{self.name}s/{subject_id}", **({} if new else {REPLAYED: "true"})}
        return await call.written(self.standing(events), events[-1], status, stored, **headers)

    async def carry_out(
        self, call: Call, subject_id: str, if_match: str | None, wish: Callable[[View], Awaitable[object]]
    ) -> Response:
        """One wish about what the caller may see, at the version asked for if one was: the append compares it."""

        async def work() -> Response:
            found = await self.existing(call, subject_id)
            try:
                await wish(found)
            except WrongState:  # it did not get as far as the append, because somebody was faster
                must_match(if_match, (await self.existing(call, subject_id)).version)
                raise
            return await self.written(call, subject_id, 200)

        return await call.once(work)

    async def written(self, call: Call, subject_id: str, status: int, **headers: str) -> Response:
        """Where it stands after a write, by the log."""
        events = await self._events(call, subject_id)
        return await call.written(self.standing(events), events[-1], status, **headers)

    async def timeline(self, call: Call, subject_id: str, limit: int, cursor: str | None) -> Response:
        """Its events, for who may see it."""
        await self.existing(call, subject_id)
        return answer(await timeline(call.services.lookups, self.stream(subject_id), limit, cursor))

    async def existing(self, call: Call, subject_id: str) -> View:
        """As the log has it. Raises NotFound also where it is not the caller's to see."""
        found = self.standing(await self._events(call, subject_id))
        if not call.who.sees(*self.users(found)):
            raise self._missing(subject_id)
        return found

    async def _events(self, call: Call, subject_id: str) -> list[RecordedEvent]:
        found = await call.services.lookups.stream(self.stream(subject_id))
        if not found:
            raise self._missing(subject_id)
        return found

    def _missing(self, subject_id: str) -> NotFound:
        said = f"{self.name.replace('_', ' ')} {subject_id} does not exist"
        return NotFound(f"{self.name}_not_found", said, f"{self.name}_id")


def _own(order: PaymentOrder | TransferOrder | TradingOrder) -> list[tuple[str, str]]:
    """The accounts that must be the caller's own, by field."""
    if isinstance(order, TradingOrder):
        return [("cash_account", order.cash_account), ("share_account", order.share_account)]
    return [("from_account", order.from_account)]


def wish_of(call: Call, if_match: str | None) -> dict[str, Any]:
    """What every wish of this request says of itself."""
    return {
        "wish_id": call.new_id("c"),
        "actor": call.who.actor,
        "trace": call.trace,
        "if_version": version_of(if_match),
    }
