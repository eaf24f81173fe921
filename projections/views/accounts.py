"""accounts: each account's balance, held and available funds, and status."""

from __future__ import annotations

from typing import LiteralString

from domain.account import AccountStatus
from domain.account_messages import (
    AccountClosed,
    AccountCredited,
    AccountDebited,
    AccountFrozen,
    AccountLimitsSet,
    AccountOpened,
    AccountUnfrozen,
    Entry,
    FundsDeposited,
    FundsReserved,
    FundsWithdrawn,
    HoldExpired,
    HoldReleased,
)
from domain.leg import AnyEvent
from domain.streams import ACCOUNT
from projections.model import Batch, Row, Statement, View, wanted

TABLES: LiteralString = """
CREATE TABLE accounts (
    account_id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    balance bigint NOT NULL,
    held bigint NOT NULL,
    overdraft_limit bigint NOT NULL,
    available bigint GENERATED ALWAYS AS (balance - held + overdraft_limit) STORED,
    iban text,
    rail text,
    limits jsonb,
    version bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    created_position bigint NOT NULL UNIQUE
) WITH (fillfactor = 80);
CREATE INDEX accounts_of_user ON accounts (user_id, created_position);
CREATE INDEX accounts_by_iban ON accounts (iban, currency) WHERE iban IS NOT NULL;
"""

# Accounts that opened in this batch, as they are at its end.
INSERT: LiteralString = """
INSERT INTO accounts (account_id, user_id, currency, status, balance, held, overdraft_limit, iban, rail, limits,
                      version, opened_at, updated_at, created_position)
SELECT account_id, user_id, currency, status, balance, held, overdraft_limit, iban, rail, limits, version,
       opened_at, updated_at, created_position
  FROM json_to_recordset(%s::json) AS r (
       account_id text, user_id text, currency text, status text, balance bigint, held bigint,
       overdraft_limit bigint, iban text, rail text, limits jsonb, version bigint, opened_at timestamptz,
       updated_at timestamptz, created_position bigint)
"""

# Accounts from before: what changed, null where it did not.
UPDATE: LiteralString = """
UPDATE accounts AS a
   SET status = COALESCE(r.status, a.status), balance = COALESCE(r.balance, a.balance),
       held = COALESCE(r.held, a.held), limits = COALESCE(r.limits, a.limits),
       version = r.version, updated_at = r.updated_at
  FROM json_to_recordset(%s::json) AS r (
       account_id text, status text, balance bigint, held bigint, limits jsonb, version bigint,
       updated_at timestamptz)
 WHERE a.account_id = r.account_id
"""

_STATUS: dict[type[AnyEvent], str] = {
    AccountFrozen: AccountStatus.FROZEN.value,
    AccountUnfrozen: AccountStatus.OPEN.value,
    AccountClosed: AccountStatus.CLOSED.value,
}
_WANTS = (
    AccountOpened,
    *_STATUS,
    AccountLimitsSet,
    FundsDeposited,
    FundsWithdrawn,
    FundsReserved,
    HoldReleased,
    HoldExpired,
    AccountDebited,
    AccountCredited,
)


def apply(batch: Batch) -> list[Statement]:
    """One row per account of the batch."""
    rows: dict[str, Row] = {}
    for seen in batch.events:
        event, record = seen.event, seen.record
        stream = record.stream
        row = rows.get(stream)
        if type(event) is AccountOpened:  # `isinstance` is slow where the answer is no
            row = rows[stream] = {
                "account_id": event.account_id,
                "user_id": event.user_id,
                "currency": event.currency,
                "status": AccountStatus.OPEN.value,
                "balance": 0,
                "held": 0,
                "overdraft_limit": event.overdraft_limit.minor,
                "iban": event.iban,
                "rail": event.rail,
                "opened_at": record.recorded_at,
                "created_position": record.position,
            }
        elif row is None:
            row = rows[stream] = {"account_id": seen.id}
        if isinstance(event, Entry):
            row["balance"], row["held"] = event.balance.minor, event.held.minor
        elif isinstance(event, AccountLimitsSet):
            row["limits"] = event.limits.model_dump(mode="json", exclude_none=True)
        elif type(event) in _STATUS:
            row["status"] = _STATUS[type(event)]
        row["version"], row["updated_at"] = record.version, record.recorded_at
    opened = [row for row in rows.values() if "opened_at" in row]
    changed = [row for row in rows.values() if "opened_at" not in row]
    return [Statement(sql, found) for sql, found in ((INSERT, opened), (UPDATE, changed)) if found]


VIEW = View("accounts", 2, ("accounts",), TABLES, wanted(ACCOUNT, _WANTS), apply)
