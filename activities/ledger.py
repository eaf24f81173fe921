"""The one way from a command to committed events, used by every activity and every direct command.

    key (command id) + content ──► load streams ──► domain leg decides ──► one atomic append ──► outcome

A repeat of the key returns the stored outcome; the same key with other content is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel

from domain.errors import Conflict
from domain.leg import Leg, State
from domain.quote_messages import Quote
from domain.streams import account_stream, quote_stream
from eventstore.handle import Aggregates, Decision
from eventstore.store import EventStore
from failpoints import reach

Result = TypeVar("Result", bound=BaseModel)


def utc_now() -> datetime:
    """The clock that commands get their `at` from."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class LedgerCommand(Generic[Result]):
    """What `Ledger.run` needs of one command.

    `key` is the command id, `content` what makes a repeat of it the same command, `streams` all that `act` may
    look at, the first of them the one the command is about. `name` is the failpoint's and the log's name.
    """

    name: str
    key: str
    content: BaseModel
    streams: Sequence[str]
    act: Callable[[Leg], object]
    result: Callable[[Leg], Result]
    returns: type[Result]
    actor: str
    trace: str | None = None
    """W3C traceparent of the request that asked for it; kept with the events, no part of the content."""
    if_version: int | None = None
    """Only while the first stream is at this version."""
    begins: bool = False
    """The first stream is taken not to exist, which spares a look; the append finds out."""
    repeat_shows_now: bool = False
    """A repeat gets the stored outcome; with this set, where things stand now (what a re-run workflow needs)."""


class Ledger:
    """Runs legs over the event store."""

    def __init__(self, aggregates: Aggregates[State], store: EventStore) -> None:
        self._aggregates = aggregates
        self._store = store

    async def state(self, stream: str) -> State:
        """The stream's state now, from the log."""
        state, _ = await self._aggregates.state(stream)
        return state

    async def states(self, streams: Sequence[str]) -> dict[str, State]:
        """The streams' states now, from the log."""
        found = await self._aggregates.states(streams)
        return {stream: state for stream, (state, _) in found.items()}

    async def repeats(self, key: str, content: BaseModel) -> bool:
        """Whether `key` was carried out before. Raises Conflict `idempotency_conflict` if with another content."""
        stored = await self._store.find_command(key)
        if stored is None:
            return False
        if stored.fingerprint != fingerprint(content):
            raise Conflict("idempotency_conflict", f"this id was used before with another content: {key}")
        return True

    async def run(self, command: LedgerCommand[Result]) -> Result:
        """One leg: act on the streams' states, append what that decided, return the result.

        Raises DomainError when the domain refuses, eventstore errors when Postgres cannot be reached.
        """
        await reach(f"{command.name}:before_commit")
        handled = await self._aggregates.handle(
            command.key,
            fingerprint(command.content),
            command.streams,
            partial(_decide, command),
            _metadata(command),
            utc_now(),
            command.if_version,
            command.begins,
        )
        await reach(f"{command.name}:after_commit")
        if handled.repeated and command.repeat_shows_now:
            return command.result(Leg({stream: await self.state(stream) for stream in command.streams}))
        return command.returns.model_validate(handled.outcome)


def _decide(command: LedgerCommand[Result], states: dict[str, State]) -> Decision:
    leg = Leg(states)
    command.act(leg)
    outcome = command.result(leg)
    return Decision(events=leg.events, outcome=outcome.model_dump(mode="json"), asked=leg.asked)


class Order(Protocol):
    """What payments and transfers are ordered with."""

    @property
    def from_account(self) -> str: ...
    @property
    def to_account(self) -> str: ...
    @property
    def quote(self) -> Quote | None: ...


def opening_streams(stream: str, order: Order, *more: str) -> list[str]:
    """What beginning an order looks at: itself, its two accounts and `more`, and its quote where it has one."""
    accounts = dict.fromkeys(map(account_stream, (order.from_account, order.to_account, *more)))
    return [stream, *accounts, *([] if order.quote is None else [quote_stream(order.quote.quote_id)])]


def _metadata(command: LedgerCommand[Result]) -> dict[str, str]:
    told = {"correlation_id": command.streams[0], "actor": command.actor}
    return told if command.trace is None else {**told, "traceparent": command.trace}


def fingerprint(content: BaseModel) -> bytes:
    """What tells a repeat of a command from another one under the same key: not when, on whose trace or on which
    condition it came. Nor what was left at its default, so that a new field changes no command of before.
    """
    told = content.model_dump_json(exclude={"at", "trace", "if_version"}, exclude_defaults=True)
    return hashlib.sha256(told.encode()).digest()
