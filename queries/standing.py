"""Where an account, payment or transfer stands by the log, in the words of the views.

Answers to writes come from here: a view may be milliseconds behind. The views' own handlers make them, so that an
answer to a write and a later read cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from domain import catalogue
from domain.account import Account
from domain.account_messages import AccountClosed, AccountFrozen, AccountUnfrozen, Entry
from domain.order import Order
from domain.payment import Payment
from domain.streams import account_stream, category_of
from eventstore.events import RecordedEvent
from eventstore.lookups import LATEST, Lookups
from projections.decoding import decode
from projections.model import Batch, Row, View
from projections.views import (
    accounts,
    fraud_cases,
    orders,
    payments,
    standing_orders,
    transfer_batches,
    transfers,
)
from queries.accounts import AccountView, account_of
from queries.batches import batch_of
from queries.fraud import case_of
from queries.fraud_results import FraudCaseView
from queries.payment_results import PaymentView
from queries.payments import payment_of
from queries.standing_orders import StandingOrderView, standing_order_of
from queries.trading import order_of
from queries.trading_results import OrderView
from queries.transfer_results import BatchView, TransferView
from queries.transfers import transfer_of

TOTALS: Final = tuple(event.__name__ for event in Entry.__subclasses__())
STATES: Final = (AccountFrozen.__name__, AccountUnfrozen.__name__, AccountClosed.__name__)


async def standing_account(
    lookups: Lookups, account_id: str, version: int = LATEST, instant: datetime | None = None
) -> AccountView | None:
    """The account at a version and an instant, both included; None where it was not open yet."""
    events = await lookups.digest(account_stream(account_id), TOTALS, STATES, version, instant)
    if not events:
        return None
    row = _row(accounts.VIEW, events)
    row["available"] = row["balance"] - row["held"] + row["overdraft_limit"]
    return account_of(row)


def standing_payment(events: Sequence[RecordedEvent]) -> PaymentView:
    """Of all of a payment's events."""
    row, state = _row(payments.VIEW, events), _state(events)
    assert isinstance(state, Payment)
    row["status"] = state.status.value  # the view settles some of them in SQL
    ended = row.pop("dispute_end", None)
    if ended is not None:
        row["dispute"] = {**row["dispute"], **ended}
    if row["captured"] and row.get("processed_at") is None:
        row["processed_at"] = row.get("expired_at")
    return payment_of({**dict.fromkeys(PaymentView.__dataclass_fields__), **row})


def standing_transfer(events: Sequence[RecordedEvent]) -> TransferView:
    """Of all of a transfer's events."""
    row = _row(transfers.VIEW, events)
    row["location"] = row.get("location") or "source"
    return transfer_of({**dict.fromkeys(TransferView.__dataclass_fields__), **row})


def standing_case(events: Sequence[RecordedEvent]) -> FraudCaseView:
    """Of all of a fraud case's events."""
    opened, *changes = (
        row
        for statement in fraud_cases.VIEW.apply(Batch([decode(event) for event in events]))
        for row in statement.rows
    )
    row = {
        **dict.fromkeys(FraudCaseView.__dataclass_fields__),
        "status": "open",
        "frozen": False,
        "notes": [],
        **opened,
    }
    row |= {"updated_at": row["opened_at"], "version": 1}
    for change in changes:
        row |= {name: _as_kept(value) if name == "notes" else value for name, value in change.items()}
    return case_of(row)


def standing_batch(events: Sequence[RecordedEvent]) -> BatchView:
    """Of all of a batch's events."""
    said = {
        statement.sql: statement.rows
        for statement in transfer_batches.VIEW.apply(Batch([decode(event) for event in events]))
    }
    [row] = said[transfer_batches.INSERT]
    sums: dict[tuple[str, str], Row] = {}
    for part in said.get(transfer_batches.SUMS, ()):
        nothing = {**part, "count": 0, "amount": "0"}
        total = sums.setdefault((part["status"], part["currency"]), nothing)
        total["count"] += part["count"]
        total["amount"] = str(int(total["amount"]) + int(part["amount"]))
    told = {**dict.fromkeys(BatchView.__dataclass_fields__), "settled": 0, **row}
    return batch_of({**told, "status": str(row["status"]), "sums": [sums[key] for key in sorted(sums)]})


def standing_order(events: Sequence[RecordedEvent]) -> OrderView:
    """Of all of an order's events."""
    row, state = _row(orders.VIEW, events), _state(events)
    assert isinstance(state, Order)
    row |= {"status": state.status.value, "leaves": state.leaves}  # the view works these out in SQL
    return order_of({**dict.fromkeys(OrderView.__dataclass_fields__), **row})


def standing_standing_order(events: Sequence[RecordedEvent]) -> StandingOrderView:
    """Of all of a standing order's events."""
    said = {
        statement.sql: statement.rows
        for statement in standing_orders.VIEW.apply(Batch([decode(event) for event in events]))
    }
    [row] = said[standing_orders.CREATE]
    told = {
        **dict.fromkeys(StandingOrderView.__dataclass_fields__),
        **row,
        **dict.fromkeys(standing_orders.OUTCOMES.values(), 0),
        "status": "active",
        "updated_at": row["created_at"],
        "version": 1,
    }
    for change in said.get(standing_orders.CHANGE, ()):
        told |= change
    return standing_order_of(told)


def _row(view: View, events: Sequence[RecordedEvent]) -> Row:
    """What the view would insert for this stream."""
    [statement] = view.apply(Batch([decode(event) for event in events]))
    [row] = statement.rows
    return {name: _as_kept(value) if isinstance(value, list | dict) else value for name, value in row.items()}


def _as_kept(value: Any) -> Any:
    """What the view keeps as JSON: its times are text there."""
    return orjson.loads(orjson.dumps(value))


def _state(events: Sequence[RecordedEvent]) -> Any:
    category = category_of(events[0].stream)
    state: Account | Payment | Any = catalogue.INITIAL[category]()
    for event in events:
        state = catalogue.EVOLVE[category](state, decode(event).event)
    return state
