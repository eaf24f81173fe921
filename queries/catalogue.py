"""The index of every question that can be asked. Each call makes a `Question` for `Reader.ask`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from queries.accounts import account_entries, find_account_by_iban, get_account, list_accounts
from queries.analytics import payment_analytics
from queries.batches import get_batch, list_batch_items, list_batches
from queries.fraud import (
    fraud_analytics,
    get_fraud_case,
    list_fraud_cases,
    risk_profile,
    similar_fraud_cases,
)
from queries.operations import conservation, dead_letters, lag
from queries.payments import get_payment, list_payments, list_user_payments, user_payment_summary
from queries.quotes import list_quotes
from queries.reader import Question
from queries.standing_orders import get_standing_order, list_runs, list_standing_orders
from queries.statements import account_statement, account_summary, whole_statement
from queries.trading import (
    get_order,
    list_instruments,
    list_orders,
    list_trades,
    order_book,
    portfolio,
    trading_accounts,
)
from queries.transfers import get_transfer, in_transit_and_suspense, list_transfers

QUERIES: Mapping[str, Callable[..., Question[Any]]] = {
    "get_account": get_account,
    "list_accounts": list_accounts,
    "find_account_by_iban": find_account_by_iban,
    "account_entries": account_entries,
    "account_statement": account_statement,
    "whole_statement": whole_statement,
    "account_summary": account_summary,
    "get_payment": get_payment,
    "list_payments": list_payments,
    "list_user_payments": list_user_payments,
    "user_payment_summary": user_payment_summary,
    "payment_analytics": payment_analytics,
    "get_transfer": get_transfer,
    "list_transfers": list_transfers,
    "get_batch": get_batch,
    "list_batches": list_batches,
    "list_batch_items": list_batch_items,
    "list_quotes": list_quotes,
    "get_standing_order": get_standing_order,
    "list_standing_orders": list_standing_orders,
    "list_runs": list_runs,
    "in_transit_and_suspense": in_transit_and_suspense,
    "get_fraud_case": get_fraud_case,
    "list_fraud_cases": list_fraud_cases,
    "similar_fraud_cases": similar_fraud_cases,
    "risk_profile": risk_profile,
    "fraud_analytics": fraud_analytics,
    "get_order": get_order,
    "list_orders": list_orders,
    "list_trades": list_trades,
    "order_book": order_book,
    "list_instruments": list_instruments,
    "portfolio": portfolio,
    "trading_accounts": trading_accounts,
    "conservation": conservation,
    "lag": lag,
    "dead_letters": dead_letters,
}
