"""Reads the views and the log in one snapshot, again and again, and holds the one against the other.

At the position the accounts view says it is at, every balance in it must be what the log up to there adds up to.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, IsolationLevel
from psycopg import sql as compose

from tests.chaos.checker.books import READ, Books, Row
from tests.chaos.checker.findings import Findings

EVERY_S = 0.25
VIEWS: Final = ("accounts", "conservation", "in_transit_and_suspense")

_POSITIONS: Final = "SELECT view, position FROM read.checkpoints"
_HEAD: Final = "SELECT last_position FROM log_head"
_PARKED: Final = """
SELECT substr(stream, 9) FROM read.dead_letters
 WHERE live AND view = 'accounts' AND status IN ('parked', 'follower')
"""
_ACCOUNTS: Final = "SELECT account_id, currency, balance, held, available, version FROM read.accounts"
_SUMS: Final = """
SELECT currency, accounts::bigint, in_transit::bigint, in_suspense::bigint, deposits::bigint, withdrawals::bigint
  FROM read.conservation
"""
_UNDER_WAY: Final = "SELECT currency, sum(amount)::bigint FROM read.in_transit_and_suspense GROUP BY currency"


class LiveChecker:
    """One reader, on a connection of its own past the proxy. `mistrusted` are views under repair."""

    def __init__(self, url: str, findings: Findings, poisoned: set[str]) -> None:
        self._url = url
        self._findings = findings
        self._poisoned = poisoned
        self.books = Books(findings, poisoned)
        self.mistrusted: set[str] = set()
        self.snapshots = self.compared = self.away = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop. While Postgres is away there is nothing to read."""
        while not stop.is_set():
            try:
                async with await AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=5
                ) as connection:
                    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
                    await self._watch(connection, stop)
            except (psycopg.Error, OSError):
                self.away += 1
                await asyncio.sleep(EVERY_S)

    async def _watch(self, connection: AsyncConnection[Any], stop: asyncio.Event) -> None:
        """On one connection nothing goes back in time. (A crash of Postgres ends every connection, and may cost
        the views, which commit without waiting for the disk, what they had.)
        """
        seen: dict[str, int] = {}
        while not stop.is_set():
            async with asyncio.timeout(20):
                at = await self.snapshot(connection)
            for name, position in at.items():
                if position < seen.get(name, 0):
                    self._findings.add("back in time", name, f"was at position {seen[name]}, is at {position}")
            seen = at
            await asyncio.sleep(EVERY_S)

    async def snapshot(self, connection: AsyncConnection[Any]) -> dict[str, int]:
        """One consistent read; the positions of the log's head and of each view."""
        suspended = set(self.mistrusted)
        async with connection.transaction():
            # Before the snapshot is taken: no rebuilt view goes live between the position and the rows.
            for view in VIEWS:
                await connection.execute(
                    compose.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(compose.Identifier("read", view))
                )
            at = dict(await _rows(connection, _POSITIONS))
            [(head,)] = await _rows(connection, _HEAD)
            parked = {name for (name,) in await _rows(connection, _PARKED)}
            accounts = await _rows(connection, _ACCOUNTS)
            sums = await _rows(connection, _SUMS)
            under_way = dict(await _rows(connection, _UNDER_WAY))
            events = await _rows(connection, READ, {"after": self.books.at, "upto": at["accounts"]})
        self.snapshots += 1
        for event in events:
            self.books.see(Row(*event))
        if self.mistrusted | suspended:
            return {"log": head}
        if self.books.at == at["accounts"]:
            self.compared += 1
            self._compare(accounts, parked)
        if len({at[view] for view in VIEWS}) == 1:
            self._add_up(at["accounts"], accounts, sums, under_way, parked)
        for view, position in at.items():
            if position > head:
                self._findings.add("positions", view, f"is at position {position}, the log ends at {head}")
        return {"log": head, **at}

    def _compare(self, accounts: list[tuple[Any, ...]], parked: set[str]) -> None:
        at, shown = self.books.at, set()
        for account_id, currency, balance, held, available, version in accounts:
            shown.add(account_id)
            if account_id in parked:
                continue
            due = self.books.accounts[account_id]
            if (balance, held, version, currency) != (due.balance, due.held, due.version, due.currency):
                self._findings.add(
                    "view equals log",
                    f"accounts.{account_id}",
                    f"at position {at} shows {balance}, {held} held, version {version}; "
                    f"by the log {due.balance}, {due.held} held, version {due.version}",
                )
            if available < 0:
                self._findings.add(
                    "no overspend", account_id, f"shown with {available} available at position {at}"
                )
        for missing in self.books.accounts.keys() - shown - parked:
            self._findings.add("view equals log", f"accounts.{missing}", f"is not in the view at position {at}")

    def _add_up(
        self,
        at: int,
        accounts: list[tuple[Any, ...]],
        sums: list[tuple[Any, ...]],
        under_way: dict[str, int],
        parked: set[str],
    ) -> None:
        """Three views at one position: what accounts hold and what is under way is what came in."""
        on_accounts: dict[str, int] = {}
        for account_id, currency, balance, *_ in accounts:
            mine = self.books.accounts[account_id].balance if account_id in parked else balance
            on_accounts[currency] = on_accounts.get(currency, 0) + mine
        for currency, held, in_transit, in_suspense, deposits, withdrawals in sums:
            due = deposits - withdrawals
            elsewhere = under_way.get(currency, 0)
            for total, what in (
                (held + in_transit + in_suspense, "the conservation view"),
                (on_accounts.get(currency, 0) + elsewhere, "accounts and money under way"),
            ):
                if total != due:
                    self._findings.add(
                        "conservation",
                        f"{currency} by {what}",
                        f"at position {at} adds up to {total}, not to {due}",
                    )


async def _rows(connection: AsyncConnection[Any], query: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query.encode(), parameters)).fetchall()
