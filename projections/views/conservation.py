"""conservation: per currency, what accounts hold, what is in transit and in suspense, deposits and withdrawals.

The promise is accounts + in transit + in suspense = deposits − withdrawals. `accounts` sums the balances that the
events state, not the movements, so that the two sides come from different figures and can disagree.
"""

from __future__ import annotations

from collections import Counter
from typing import LiteralString

from domain.account_messages import AccountCredited, AccountDebited, FundsDeposited, FundsWithdrawn
from domain.streams import ACCOUNT
from projections.model import Batch, Row, Statement, View, wanted
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


def apply(batch: Batch) -> list[Statement]:
    """The last balance of each account, the sums of what came in and went out, and what is under way."""
    balances: dict[str, Row] = {}
    deposits: Counter[str] = Counter()
    withdrawals: Counter[str] = Counter()
    for seen in batch.events:
        event = seen.event
        if not isinstance(event, FundsDeposited | FundsWithdrawn | AccountDebited | AccountCredited):
            continue
        currency = event.balance.currency
        stream = seen.record.stream
        balances[stream] = {"account_id": seen.id, "currency": currency, "balance": event.balance.minor}
        if isinstance(event, FundsDeposited):
            deposits[currency] += event.amount.minor
        elif isinstance(event, FundsWithdrawn):
            withdrawals[currency] += event.amount.minor
    external: list[Row] = [
        # As text: a batch's sum may be more than a JSON integer of 64 bits holds.
        {"currency": currency, "deposits": str(deposits[currency]), "withdrawals": str(withdrawals[currency])}
        for currency in sorted(deposits.keys() | withdrawals.keys())
    ]
    made = ((BALANCES, list(balances.values())), (EXTERNAL, external), (UNDER_WAY, batch.fold(fold)))
    return [Statement(sql, rows) for sql, rows in made if rows]


_WANTS = wanted(ACCOUNT, (FundsDeposited, FundsWithdrawn, AccountDebited, AccountCredited)) | MONEY_MOVES
VIEW = View("conservation", 1, ("conservation",), TABLES, _WANTS, apply)
