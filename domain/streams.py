"""How streams are named: `<category>-<id>`, one stream per aggregate."""

from __future__ import annotations

ACCOUNT = "account"
PAYMENT = "payment"
TRANSFER = "transfer"
FRAUD_CASE = "fraud_case"
BATCH = "batch"
ORDER = "order"
BOOK = "book"
TRADE = "trade"
QUOTE = "quote"
STANDING_ORDER = "standing_order"


def account_stream(account_id: str) -> str:
    return f"{ACCOUNT}-{account_id}"


def payment_stream(payment_id: str) -> str:
    return f"{PAYMENT}-{payment_id}"


def transfer_stream(transfer_id: str) -> str:
    return f"{TRANSFER}-{transfer_id}"


def fraud_case_stream(case_id: str) -> str:
    return f"{FRAUD_CASE}-{case_id}"


def batch_stream(batch_id: str) -> str:
    return f"{BATCH}-{batch_id}"


def order_stream(order_id: str) -> str:
    return f"{ORDER}-{order_id}"


def book_stream(symbol: str) -> str:
    return f"{BOOK}-{symbol}"


def trade_stream(trade_id: str) -> str:
    return f"{TRADE}-{trade_id}"


def quote_stream(quote_id: str) -> str:
    return f"{QUOTE}-{quote_id}"


def standing_order_stream(standing_order_id: str) -> str:
    return f"{STANDING_ORDER}-{standing_order_id}"


def category_of(stream: str) -> str:
    """`account-a-1` → `account`."""
    return stream.partition("-")[0]


def id_of(stream: str) -> str:
    """`account-a-1` → `a-1`."""
    return stream.partition("-")[2]
