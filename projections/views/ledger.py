"""ledger_entries: double entry. The entries of one append (one transaction) sum to zero in each currency.

An account's entry comes from its own event. The other side of it is another account's entry of the same append, or
one on a control account of the ledger: `external:EUR` for deposits and withdrawals, `in_transit:EUR` and
`suspense:EUR` for money that a transfer has under way. A transfer with a quote passes through the platform's
exchange accounts, so that each currency nets to zero by itself.
"""

from __future__ import annotations

from typing import LiteralString

from domain.account_messages import AccountCredited, AccountDebited, FundsDeposited, FundsWithdrawn
from domain.money import Money
from domain.streams import ACCOUNT, TRANSFER
from domain.transfer_messages import DestinationCredited, FundsMovedToSuspense, SourceDebited, SourceRefunded
from projections.model import Batch, Row, Seen, Statement, View, wanted

TABLES: LiteralString = """
CREATE TABLE ledger_entries (
    position bigint NOT NULL,
    line smallint NOT NULL,
    transaction bigint NOT NULL,
    ledger_account text COLLATE "C" NOT NULL,
    account_id text COLLATE "C",
    currency text NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint,
    category text NOT NULL,
    counterparty text,
    source text,
    reference text,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (position, line)
);
CREATE INDEX ledger_entries_of_account ON ledger_entries (account_id, position, line) WHERE account_id IS NOT NULL;
CREATE TABLE ledger_under_way (
    transfer text COLLATE "C" PRIMARY KEY,
    currency text NOT NULL,
    amount bigint NOT NULL,
    in_suspense boolean NOT NULL
);
"""

# Amounts are signed: what an account gains is positive. `account_id` and `balance_after` are null on control
# accounts (whose names an account id could have, too).
INSERT: LiteralString = """
INSERT INTO ledger_entries (position, line, transaction, ledger_account, account_id, currency, amount,
                            balance_after, category, counterparty, source, reference, recorded_at)
SELECT position, line, transaction, COALESCE(account_id, control), account_id, currency, amount, balance_after,
       category, counterparty, source, reference, recorded_at
  FROM json_to_recordset(%s::json) AS r (
       position bigint, line smallint, transaction bigint, account_id text, control text, currency text,
       amount bigint, balance_after bigint, category text, counterparty text, source text, reference text,
       recorded_at timestamptz)
"""

# Money that set out: what arrives later may be in another currency, so what left is remembered here.
SET_OUT: LiteralString = """
INSERT INTO ledger_under_way (transfer, currency, amount, in_suspense)
SELECT transfer, currency, amount, false
  FROM json_to_recordset(%s::json) AS r (transfer text, currency text, amount bigint)
"""

MOVED: LiteralString = """
UPDATE ledger_under_way AS u SET in_suspense = true
  FROM json_to_recordset(%s::json) AS r (transfer text) WHERE u.transfer = r.transfer
"""

# Money that arrived, or came back: the entry that takes it out of transit or of suspense, wherever it was.
ARRIVED: LiteralString = """
WITH arrived AS (
    DELETE FROM ledger_under_way AS u
     USING json_to_recordset(%s::json) AS r (
           position bigint, transaction bigint, transfer text, category text, recorded_at timestamptz)
     WHERE u.transfer = r.transfer
    RETURNING r.position, r.transaction, u.transfer, u.currency, u.amount, u.in_suspense, r.category, r.recorded_at
)
INSERT INTO ledger_entries (position, line, transaction, ledger_account, currency, amount, category, source,
                            recorded_at)
SELECT position, 0, transaction, CASE WHEN in_suspense THEN 'suspense:' ELSE 'in_transit:' END || currency,
       currency, -amount, category, transfer, recorded_at
  FROM arrived
"""


def apply(batch: Batch) -> list[Statement]:
    """Entries in the log's order, then what is under way."""
    entries: list[Row] = []
    set_out: list[Row] = []
    moved: list[Row] = []
    arrived: list[Row] = []
    for seen in batch.events:
        match seen.event:
            case AccountCredited() | AccountDebited():
                entries.append(_posting(seen, seen.event))
            case FundsDeposited() | FundsWithdrawn():
                entries += _external(seen, seen.event)
            case SourceDebited(amount=amount):
                entries.append(_control(seen, "in_transit", amount, "transfer"))
                set_out.append(
                    {"transfer": seen.record.stream, "currency": amount.currency, "amount": amount.minor}
                )
            case FundsMovedToSuspense(amount=amount):
                entries.append(_control(seen, "in_transit", -amount, "suspense"))
                entries.append(_control(seen, "suspense", amount, "suspense", line=1))
                moved.append({"transfer": seen.record.stream})
            case DestinationCredited():
                arrived.append(_arrival(seen, "transfer"))
            case SourceRefunded():
                arrived.append(_arrival(seen, "compensation"))
            case _:
                raise AssertionError(f"not wanted: {seen.record.type}")
    made = ((INSERT, entries), (SET_OUT, set_out), (MOVED, moved), (ARRIVED, arrived))
    return [Statement(sql, rows) for sql, rows in made if rows]


def _posting(seen: Seen, event: AccountDebited | AccountCredited) -> Row:
    sign = -1 if type(event) is AccountDebited else 1
    return {
        "position": seen.record.position,
        "line": 0,
        "transaction": seen.append_id,
        "account_id": seen.id,
        "currency": event.amount.currency,
        "amount": sign * event.amount.minor,
        "balance_after": event.balance.minor,
        "category": event.purpose,
        "counterparty": event.counterparty,
        "source": event.transaction,
        "reference": event.reference,
        "recorded_at": seen.record.recorded_at,
    }


def _external(seen: Seen, event: FundsDeposited | FundsWithdrawn) -> list[Row]:
    deposit = isinstance(event, FundsDeposited)
    signed = event.amount if deposit else -event.amount
    category = "deposit" if deposit else "withdrawal"
    currency = signed.currency
    own: Row = {
        "position": seen.record.position,
        "line": 0,
        "transaction": seen.append_id,
        "account_id": seen.id,
        "currency": currency,
        "amount": signed.minor,
        "balance_after": event.balance.minor,
        "category": category,
        "counterparty": f"external:{currency}",
        "reference": event.reference,
        "recorded_at": seen.record.recorded_at,
    }
    return [own, _control(seen, "external", -signed, category, line=1)]


def _control(seen: Seen, account: str, money: Money, category: str, line: int = 0) -> Row:
    currency = money.currency
    transfer = account != "external"
    return {
        "position": seen.record.position,
        "line": line,
        "transaction": seen.append_id,
        "control": f"{account}:{currency}",
        "currency": currency,
        "amount": money.minor,
        "category": category,
        "counterparty": None if transfer else seen.id,
        "source": seen.record.stream if transfer else None,
        "recorded_at": seen.record.recorded_at,
    }


def _arrival(seen: Seen, category: str) -> Row:
    return {
        "position": seen.record.position,
        "transaction": seen.append_id,
        "transfer": seen.record.stream,
        "category": category,
        "recorded_at": seen.record.recorded_at,
    }


_WANTS = wanted(ACCOUNT, (AccountDebited, AccountCredited, FundsDeposited, FundsWithdrawn)) | wanted(
    TRANSFER, (SourceDebited, FundsMovedToSuspense, DestinationCredited, SourceRefunded)
)
VIEW = View("ledger_entries", 1, ("ledger_entries",), TABLES, _WANTS, apply)
