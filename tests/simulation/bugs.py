"""Bugs put in on purpose, one function changed each. The simulator has to find every one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import orjson

import domain.transfer_legs as legs
from activities.ledger import Ledger
from domain import transfer
from domain.account_messages import Credit
from domain.leg import Leg
from domain.streams import transfer_stream
from domain.transfer import TransferStatus
from domain.transfer_messages import CreditDestination, ReleaseSource
from projections import runner
from projections.writing import commit
from workflows.compensation import Compensations


@contextmanager
def double_credit() -> Iterator[None]:
    """A destination is credited twice in one leg."""
    once = legs._deliver

    def twice(leg: Leg, transfer_id: str, command: CreditDestination, purpose: Any) -> None:
        transfer = leg.transfer(transfer_id)
        credit = Credit(
            at=command.at, amount=transfer.credited, counterparty="?", transaction=transfer_stream(transfer_id),
            purpose=purpose,
        )  # fmt: skip
        leg.on_account(transfer.to_account, credit)
        once(leg, transfer_id, command, purpose)

    with patch.object(legs, "_deliver", twice):
        yield


@contextmanager
def lost_compensation() -> Iterator[None]:
    """The compensation stack forgets the undo of the debit."""
    register = Compensations.register

    def forgetful(self: Compensations, name: str, undo: Any) -> None:
        if name != "refund_source":
            register(self, name, undo)

    with patch.object(Compensations, "register", forgetful):
        yield


@contextmanager
def no_tombstone() -> Iterator[None]:
    """The undo of what never happened leaves nothing behind that a late original would find."""
    decide = transfer.decide

    def silent(command: Any, state: Any) -> Any:
        nothing_there = isinstance(command, ReleaseSource) and state.status is TransferStatus.NONE
        return [] if nothing_there else decide(command, state)

    with patch.object(transfer, "decide", silent):
        yield


@contextmanager
def keys_of_a_run() -> Iterator[None]:
    """Command ids that differ with every attempt: the repeat of a step is a step again."""
    run, number = Ledger.run, iter(range(10**9))

    async def anew(self: Ledger, command: Any) -> Any:
        command = type(command)(**{
            **{name: getattr(command, name) for name in command.__dataclass_fields__},
            "key": f"{command.key}:{next(number)}",
        })  # fmt: skip
        return await run(self, command)

    with patch.object(Ledger, "run", anew):
        yield


@contextmanager
def checkpoint_before_view() -> Iterator[None]:
    """A view's checkpoint moves in a transaction of its own, before the view does."""

    async def torn(connection: Any, works: Any) -> None:
        empty = [type(work)(work.track, work.since, work.upto, [], []) for work in works]
        await commit(connection, empty)
        for work in works:
            if work.statements:
                async with connection.transaction():
                    await connection.execute("SELECT set_config('search_path', %s, true)", (work.track.schema,))
                    for statement in work.statements:
                        await connection.execute(statement.sql, (orjson.dumps(statement.rows).decode(),))

    with patch.object(runner, "commit", torn):
        yield


BUGS: dict[str, Callable[[], Any]] = {
    bug.__name__: bug
    for bug in (double_credit, lost_compensation, no_tombstone, keys_of_a_run, checkpoint_before_view)
}
