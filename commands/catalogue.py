"""The index of everything that can be done: the name of a command and what carries it out.

Account commands append to the log at once; payments and transfers start a workflow or ask a running one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from commands.accounts import AccountCommands
from commands.dead_letters import retry
from commands.fraud import FraudCommands
from commands.payments import PaymentCommands
from commands.quotes import QuoteCommands
from commands.standing_orders import StandingOrderCommands
from commands.trading import MarketCommands, OrderCommands
from commands.transfer_batches import TransferBatchCommands
from commands.transfers import TransferCommands

COMMANDS: Mapping[str, Callable[..., Awaitable[Any]]] = {
    "open_account": AccountCommands.open,
    "deposit": AccountCommands.deposit,
    "withdraw": AccountCommands.withdraw,
    "freeze": AccountCommands.freeze,
    "unfreeze": AccountCommands.unfreeze,
    "close": AccountCommands.close,
    "set_account_limits": AccountCommands.set_limits,
    "create_payment": PaymentCommands.start,
    "capture": PaymentCommands.capture,
    "cancel_payment": PaymentCommands.cancel,
    "review_payment": PaymentCommands.review,
    "refund": PaymentCommands.refund,
    "open_dispute": PaymentCommands.dispute,
    "resolve_dispute": PaymentCommands.resolve_dispute,
    "issue_quote": QuoteCommands.issue,
    "create_transfer": TransferCommands.start,
    "cancel_transfer": TransferCommands.cancel,
    "review_transfer": TransferCommands.review,
    "resolve_transfer": TransferCommands.resolve,
    "create_standing_order": StandingOrderCommands.create,
    "pause_standing_order": StandingOrderCommands.pause,
    "resume_standing_order": StandingOrderCommands.resume,
    "amend_standing_order": StandingOrderCommands.amend,
    "skip_run": StandingOrderCommands.skip,
    "cancel_standing_order": StandingOrderCommands.cancel,
    "open_fraud_case": FraudCommands.open,
    "assign_fraud_case": FraudCommands.assign,
    "note_fraud_case": FraudCommands.note,
    "escalate_fraud_case": FraudCommands.escalate,
    "freeze_for_fraud_case": FraudCommands.freeze,
    "decide_fraud_case": FraudCommands.decide,
    "create_batch": TransferBatchCommands.submit,
    "pause_batch": TransferBatchCommands.pause,
    "resume_batch": TransferBatchCommands.resume,
    "cancel_batch": TransferBatchCommands.cancel,
    "place_order": OrderCommands.start,
    "amend_order": OrderCommands.amend,
    "cancel_order": OrderCommands.cancel,
    "list_instrument": MarketCommands.list_instrument,
    "halt_trading": MarketCommands.halt,
    "resume_trading": MarketCommands.resume,
    "retry_dead_letter": retry,
}
