"""A plain SQL ledger, as many would write one: what the batch saga is compared with.

Two tables and one function. A transfer is one call of it in a transaction of its own: both rows locked in sorted
order, balance checked, two balances changed, two entries written. No events, no history, no views, no hashes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import psycopg

from benchmarks.loads import Load

CONNECTIONS: Final = 8

SCHEMA: Final = """
DROP SCHEMA IF EXISTS plain CASCADE;
CREATE SCHEMA plain;
CREATE TABLE plain.accounts (
    account_id text PRIMARY KEY,
    currency text NOT NULL,
    balance bigint NOT NULL CHECK (balance >= 0)
) WITH (fillfactor = 50);
CREATE TABLE plain.entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transfer_id text NOT NULL,
    account_id text NOT NULL REFERENCES plain.accounts,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (transfer_id, account_id)
);
CREATE INDEX ON plain.entries (account_id, id);
CREATE FUNCTION plain.transfer(p_id text, p_from text, p_to text, p_currency text, p_amount bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    source plain.accounts;
    target plain.accounts;
BEGIN
    IF p_from = p_to OR p_amount <= 0 THEN
        RETURN 'invalid';
    END IF;
    IF p_from < p_to THEN
        SELECT * INTO source FROM plain.accounts WHERE account_id = p_from FOR UPDATE;
        SELECT * INTO target FROM plain.accounts WHERE account_id = p_to FOR UPDATE;
    ELSE
        SELECT * INTO target FROM plain.accounts WHERE account_id = p_to FOR UPDATE;
        SELECT * INTO source FROM plain.accounts WHERE account_id = p_from FOR UPDATE;
    END IF;
    IF source.account_id IS NULL OR target.account_id IS NULL THEN
        RETURN 'account_not_found';
    END IF;
    IF source.currency <> p_currency OR target.currency <> p_currency THEN
        RETURN 'currency_mismatch';
    END IF;
    IF source.balance < p_amount THEN
        RETURN 'insufficient_funds';
    END IF;
    UPDATE plain.accounts SET balance = balance - p_amount WHERE account_id = p_from;
    UPDATE plain.accounts SET balance = balance + p_amount WHERE account_id = p_to;
    INSERT INTO plain.entries (transfer_id, account_id, amount, balance_after)
        VALUES (p_id, p_from, -p_amount, source.balance - p_amount),
            (p_id, p_to, p_amount, target.balance + p_amount);
    RETURN 'completed';
END $$;
"""

OPEN: Final = "INSERT INTO plain.accounts (account_id, currency, balance) VALUES (%s, 'EUR', %s)"
TRANSFER: Final = "SELECT plain.transfer(%s, %s, %s, 'EUR', %s)"


def prepare(url: str, load: Load) -> None:
    """Empty tables, and the accounts of a load."""
    with psycopg.connect(url) as connection:
        connection.execute(SCHEMA)
        with connection.cursor() as cursor:
            cursor.executemany(OPEN, [(account, load.opening) for account in load.accounts])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE plain.accounts, plain.entries")


def run(url: str, load: Load, prefix: str) -> float:
    """Seconds for all of the load over 8 connections, each transfer durable by itself. Raises if one fails."""
    shares = [range(start, len(load.transfers), CONNECTIONS) for start in range(CONNECTIONS)]
    connections = [psycopg.connect(url, autocommit=True, prepare_threshold=0) for _ in shares]

    def work(connection: psycopg.Connection[tuple[str]], share: Sequence[int]) -> None:
        cursor = connection.cursor()
        for number in share:
            source, target, minor = load.transfers[number]
            row = cursor.execute(TRANSFER, (f"{prefix}-{number}", source, target, minor)).fetchone()
            if row is None or row[0] != "completed":
                raise AssertionError(f"transfer {number} was {row}")

    try:
        for connection in connections:
            connection.execute("SHOW synchronous_commit")
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            started = time.perf_counter()
            for done in [threads.submit(work, *pair) for pair in zip(connections, shares, strict=True)]:
                done.result()
            return time.perf_counter() - started
    finally:
        for connection in connections:
            connection.close()


def check(url: str, load: Load) -> None:
    """Raises AssertionError where money was made or lost."""
    with psycopg.connect(url) as connection:
        [balances] = connection.execute("SELECT sum(balance) FROM plain.accounts").fetchone() or [None]
        [entries] = connection.execute("SELECT sum(amount) FROM plain.entries").fetchone() or [None]
    assert balances == load.opening * len(load.accounts), f"the accounts have {balances}"
    assert entries == 0, f"the entries sum to {entries}"
