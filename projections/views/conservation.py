"""conservation: per currency, what accounts hold, what is in transit and in suspense, deposits and withdrawals.

The promise is accounts + in transit + in suspense = deposits − withdrawals. `accounts` sums the balances that the
events state, not the movements, so that the two sides come from different figures and can disagree.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, LiteralString

from domain.account_messages import AccountCredited, AccountDebited, FundsDeposited, FundsWithdrawn
from domain.model import Event
from domain.streams import ACCOUNT
from projections.model import Batch, Row, Seen, Statement, View, wanted
from projections.views.under_way import MONEY_MOVES, fold

TABLES: LiteralString = """
CREATE TABLE conservation (
    currency text PRIMARY KEY,
    accounts numeric NOT NULL DEFAULT 0,
    in_transit numeric NOT NULL DEFAULT 0,
    in_suspense numeric NOT NULL DEFAULT 0,
    deposits numeric NOT NULL DEFAULT 0,
    withdrawals numeric NOT NULL DEFAULT 0,
    difference numeric GENERATED ALWAYS AS (accounts + in_transit + in_suspense - deposits + withdrawals) STORED
) WITH (fillfactor = 50);
CREATE TABLE account_balances (
    account_id text COLLATE "C" PRIMARY KEY,
    currency text NOT NULL,
    balance bigint NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE under_way (
    transfer_id text COLLATE "C" PRIMARY KEY,
    currency text NOT NULL,
    amount bigint NOT NULL,
    place text NOT NULL
);
"""

BALANCES: LiteralString = """
WITH change AS (
    INSERT INTO account_balances AS b (account_id, currency, balance)
    SELECT account_id, currency, balance
      FROM json_to_recordset(%s::json) AS r (account_id text, currency text, balance bigint)
    ON CONFLICT (account_id) DO UPDATE SET balance = EXCLUDED.balance
    RETURNING b.currency, new.balance::numeric - COALESCE(old.balance, 0) AS balance
)
INSERT INTO conservation AS c (currency, accounts) SELECT currency, sum(balance) FROM change GROUP BY currency
ON CONFLICT (currency) DO UPDATE SET accounts = c.accounts + EXCLUDED.accounts
"""

EXTERNAL: LiteralString = """
INSERT INTO conservation AS c (currency, deposits, withdrawals)
SELECT currency, deposits, withdrawals
  FROM json_to_recordset(%s::json) AS r (currency text, deposits numeric, withdrawals numeric)
ON CONFLICT (currency) DO UPDATE
   SET deposits = c.deposits + EXCLUDED.deposits, withdrawals = c.withdrawals + EXCLUDED.withdrawals
"""

# `currency` and `amount` are null for money that set out before this batch, `place` for money that arrived.
UNDER_WAY: LiteralString = """
WITH r AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s::json) AS r (transfer_id text, currency text, amount bigint, place text)
), set_out AS (
    INSERT INTO under_way (transfer_id, currency, amount, place)
    SELECT transfer_id, currency, amount, place FROM r WHERE currency IS NOT NULL
    RETURNING currency, amount, NULL AS was, place
), moved AS (
    UPDATE under_way AS u SET place = r.place FROM r
     WHERE u.transfer_id = r.transfer_id AND r.currency IS NULL AND r.place IS NOT NULL
    RETURNING u.currency, u.amount, old.place AS was, new.place AS place
), arrived AS (
    DELETE FROM under_way AS u USING r WHERE u.transfer_id = r.transfer_id AND r.place IS NULL
    RETURNING u.currency, u.amount, u.place AS was, NULL AS place
), change AS (
    SELECT currency, sum(amount * ((place = 'in_transit') IS TRUE)::int
                         - amount * ((was = 'in_transit') IS TRUE)::int) AS in_transit,
           sum(amount * ((place = 'suspense') IS TRUE)::int
               - amount * ((was = 'suspense') IS TRUE)::int) AS in_suspense
      FROM (TABLE set_out UNION ALL TABLE moved UNION ALL TABLE arrived) AS moves
     GROUP BY currency
)
INSERT INTO conservation AS c (currency, in_transit, in_suspense)
SELECT currency, in_transit, in_suspense FROM change
ON CONFLICT (currency) DO UPDATE
   SET in_transit = c.in_transit + EXCLUDED.in_transit, in_suspense = c.in_suspense + EXCLUDED.in_suspense
"""

_BALANCE_MOVES: frozenset[type[Event]] = frozenset(
    {FundsDeposited, FundsWithdrawn, AccountDebited, AccountCredited}
)


def apply(batch: Batch) -> list[Statement]:
    """The last balance of each account, the sums of what came in and went out, and what is under way."""
    last: dict[str, Seen] = {}
    deposits: Counter[str] = Counter()
    withdrawals: Counter[str] = Counter()
    for seen in batch.events:
        event: Any = seen.event
        type_ = type(event)
        if type_ not in _BALANCE_MOVES:
            continue
        last[seen.record.stream] = seen
        if type_ is FundsDeposited:
            deposits[event.amount.currency] += event.amount.minor
        elif type_ is FundsWithdrawn:
            withdrawals[event.amount.currency] += event.amount.minor
    balances = [_balance(seen.id, seen.event) for seen in last.values()]
    external: list[Row] = [
        # As text: a batch's sum may be more than a JSON integer of 64 bits holds.
        {"currency": currency, "deposits": str(deposits[currency]), "withdrawals": str(withdrawals[currency])}
        for currency in sorted(deposits.keys() | withdrawals.keys())
    ]
    made = ((BALANCES, balances), (EXTERNAL, external), (UNDER_WAY, batch.fold(fold)))
    return [Statement(sql, rows) for sql, rows in made if rows]


def _balance(account_id: str, event: Any) -> Row:
    return {"account_id": account_id, "currency": event.balance.currency, "balance": event.balance.minor}


_WANTS = wanted(ACCOUNT, _BALANCE_MOVES) | MONEY_MOVES
VIEW = View("conservation", 1, ("conservation",), TABLES, _WANTS, apply)
