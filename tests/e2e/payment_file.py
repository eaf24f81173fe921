"""Payment files for tests of `starter.py batch`, and what the log knows of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import psycopg

from commands.batch_accounts import account_id_for, pocket_of
from domain.streams import account_stream, transfer_stream
from payfiles.model import PaymentFile
from tests.fixtures.running import RunningStack

HEADER = "end_to_end_id,from,to,amount,currency,reference,purpose"


def csv_file(folder: Path, message_id: str, *lines: str, facts: str = "") -> Path:
    """A CSV payment file of these lines."""
    path = folder / f"{message_id}.csv"
    path.write_text("\n".join([f"# message_id={message_id} {facts}", HEADER, *lines, ""]))
    return path


def streams_of(file: PaymentFile) -> list[str]:
    """Every stream that running the file with --open-missing may write to."""
    accounts = {account_id_for(ref) for item in file.items for ref in (item.debtor, item.creditor)}
    return [*map(account_stream, accounts), *(transfer_stream(item.transfer_id) for item in file.items)]


def events_in(stack: RunningStack, streams: list[str]) -> int:
    """How many events these streams hold."""
    query = "SELECT COALESCE(sum(version), 0) FROM streams WHERE stream = ANY(%s)"
    with psycopg.connect(stack.info.admin_database) as connection:
        row = connection.execute(query, [streams]).fetchone()
    assert row is not None
    return int(row[0])


def balances(stack: RunningStack, account_ids: Iterable[str]) -> dict[str, str]:
    """Account id → balance as its last entry in the log states it, in the order asked for."""
    wanted = list(account_ids)
    query = """
        SELECT DISTINCT ON (stream) stream, data -> 'balance' ->> 'amount' FROM events
         WHERE stream = ANY(%s) AND data ? 'balance' ORDER BY stream, version DESC
    """
    with psycopg.connect(stack.info.admin_database) as connection:
        found: dict[str, str] = dict(connection.execute(query, [[*map(account_stream, wanted)]]).fetchall())
    return {account_id: found[account_stream(account_id)] for account_id in wanted}


def credited(file: PaymentFile) -> dict[str, int]:
    """Account id → what the file credits to it, in minor units, for items between two accounts.

    Debtors that --open-missing opened end with just that too: what they got at first is what the file took.
    """
    sums: Counter[str] = Counter()
    for item in file.items:
        sums[account_id_for(item.debtor)] += 0
        if pocket_of(item.debtor) != pocket_of(item.creditor):
            sums[account_id_for(item.creditor)] += item.amount.minor
    return dict(sums)
