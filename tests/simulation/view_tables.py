"""The views' tables in memory: what each of their statements does, in Python.

A second reading of the SQL, so that views take part in simulated runs. It is held to Postgres:
tests/integration/test_simulated_tables.py runs the same batches through both and compares every table.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from domain.streams import BATCH, BOOK, ORDER, STANDING_ORDER, TRADE
from projections.catalogue import VIEWS
from projections.model import Row, Statement
from projections.views import (
    accounts,
    conservation,
    fraud_cases,
    in_transit_and_suspense,
    ledger,
    payment_analytics,
    payments,
    quotes,
    screenings,
    transfers,
    user_payment_summary,
)

Table = dict[Any, Row]
PENDING = ("pending", "in_review", "authorized")


def present_status(status: str, captured: int, refunded: int) -> str:
    """As the SQL function of that name: settles the marks of payment_fold.py."""
    match status:
        case "?expired":
            return "processed" if captured > 0 else "expired"
        case "?refunded":
            return "refunded" if refunded == captured else "partially_refunded"
        case "?won":
            return "partially_refunded" if refunded > 0 else "processed"
        case _:
            return status


def _or(new: Any, old: Any) -> Any:
    return old if new is None else new


ELSEWHERE = frozenset({BATCH, ORDER, BOOK, TRADE, STANDING_ORDER})
"""Batches, trading and standing orders have stories of their own; the simulator's have none."""
SIMULATED = {
    name: view for name, view in VIEWS.items() if not {category for category, _ in view.wants} & ELSEWHERE
}


class ViewTables:
    """The tables of one build, by name. An insert over an existing key fails, as a primary key would."""

    KNOWN: ClassVar[frozenset[str]] = frozenset()
    """The statements it understands: every one of every view of SIMULATED."""

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}

    def run(self, statement: Statement) -> None:
        """One statement over its rows."""
        _DO[statement.sql](self, statement.rows)

    def filled(self) -> dict[str, Table]:
        """The tables that have rows; a column that is null is left out."""
        return {
            name: {key: {f: v for f, v in row.items() if v is not None} for key, row in table.items()}
            for name, table in self.tables.items()
            if table
        }

    def table(self, name: str) -> Table:
        return self.tables.setdefault(name, {})

    def _insert(self, name: str, rows: Iterable[Row], *key: str) -> None:
        table = self.table(name)
        for row in rows:
            at = row[key[0]] if len(key) == 1 else tuple(row[part] for part in key)
            assert at not in table, f"{name}: {at} is there already"
            table[at] = dict(row)

    def _change(self, name: str, rows: Sequence[Row], key: str, *fields: str) -> None:
        """COALESCE(r.field, t.field) of each field."""
        table = self.table(name)
        for row in rows:
            if (old := table.get(row[key])) is not None:
                old.update({field: row[field] for field in fields if row.get(field) is not None})

    # --- accounts, in_transit_and_suspense, ledger ------------------------------------------------------------

    def insert_accounts(self, rows: Sequence[Row]) -> None:
        self._insert("accounts", rows, "account_id")

    def update_accounts(self, rows: Sequence[Row]) -> None:
        self._change(
            "accounts", rows, "account_id", "status", "balance", "held", "limits", "version", "updated_at"
        )

    def money_set_out(self, rows: Sequence[Row]) -> None:
        self._insert("in_transit_and_suspense", rows, "transfer_id")

    def money_moved(self, rows: Sequence[Row]) -> None:
        self._change("in_transit_and_suspense", rows, "transfer_id", "place", "since")

    def money_arrived(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.table("in_transit_and_suspense").pop(row["transfer_id"], None)

    def insert_entries(self, rows: Sequence[Row]) -> None:
        named = [{**row, "ledger_account": _or(row.get("account_id"), row.get("control"))} for row in rows]
        for row in named:
            row.pop("control", None)
        self._insert("ledger_entries", named, "position", "line")

    def entries_set_out(self, rows: Sequence[Row]) -> None:
        self._insert("ledger_under_way", [{**row, "in_suspense": False} for row in rows], "transfer")

    def entries_moved(self, rows: Sequence[Row]) -> None:
        self._change("ledger_under_way", [{**row, "in_suspense": True} for row in rows], "transfer", "in_suspense")

    def entries_arrived(self, rows: Sequence[Row]) -> None:
        for row in rows:
            gone = self.table("ledger_under_way").pop(row["transfer"], None)
            if gone is not None:
                place = "suspense" if gone["in_suspense"] else "in_transit"
                entry = {
                    **{field: row[field] for field in ("position", "transaction", "category", "recorded_at")},
                    "line": 0,
                    "ledger_account": f"{place}:{gone['currency']}",
                    "currency": gone["currency"],
                    "amount": -gone["amount"],
                    "source": row["transfer"],
                }
                self._insert("ledger_entries", [entry], "position", "line")

    # --- conservation ------------------------------------------------------------

    def _sums(self, currency: str) -> Row:
        columns = ("accounts", "in_transit", "in_suspense", "deposits", "withdrawals")
        return self.table("conservation").setdefault(currency, {"currency": currency, **dict.fromkeys(columns, 0)})

    def balances(self, rows: Sequence[Row]) -> None:
        known = self.table("account_balances")
        for row in rows:
            old = known.get(row["account_id"], {}).get("balance", 0)
            self._sums(row["currency"])["accounts"] += row["balance"] - old
            known[row["account_id"]] = dict(row)

    def external(self, rows: Sequence[Row]) -> None:
        for row in rows:
            sums = self._sums(row["currency"])
            sums["deposits"] += int(row["deposits"])
            sums["withdrawals"] += int(row["withdrawals"])

    def under_way(self, rows: Sequence[Row]) -> None:
        columns = {"in_transit": "in_transit", "suspense": "in_suspense"}
        known = self.table("under_way")
        for row in rows:
            old = known.pop(row["transfer_id"], None)
            if old is not None:
                self._sums(old["currency"])[columns[old["place"]]] -= old["amount"]
            if row["place"] is not None:
                now = {"transfer_id": row["transfer_id"], "place": row["place"]}
                for field in ("currency", "amount"):
                    now[field] = _or(row.get(field), (old or {}).get(field))
                known[row["transfer_id"]] = now
                self._sums(now["currency"])[columns[now["place"]]] += now["amount"]

    # --- payments, transfers ------------------------------------------------------------

    def insert_payments(self, rows: Sequence[Row]) -> None:
        settled = []
        for row in rows:
            new = {key: value for key, value in row.items() if key not in ("dispute_end", "expired_at")}
            new["status"] = present_status(row["status"], row["captured"], row["refunded"])
            if row.get("dispute") is not None:
                new["dispute"] = {**row["dispute"], **(row.get("dispute_end") or {})}
            expired = row.get("expired_at") if row["captured"] > 0 else None
            new["processed_at"] = _or(row.get("processed_at"), expired)
            settled.append(new)
        self._insert("payments", settled, "payment_id")

    def update_payments(self, rows: Sequence[Row]) -> None:
        for row in rows:
            old = self.table("payments").get(row["payment_id"])
            if old is None:
                continue
            captured = _or(row.get("captured"), old["captured"])
            refunded = _or(row.get("refunded"), old["refunded"])
            old["status"] = present_status(_or(row.get("status"), old["status"]), captured, refunded)
            old["fee"] += _or(row.get("fee"), 0)
            old["settled"] += _or(row.get("settled"), 0)
            dispute = _or(row.get("dispute"), old.get("dispute"))
            if dispute is not None:
                old["dispute"] = {**dispute, **(row.get("dispute_end") or {})}
            expired = row.get("expired_at") if captured > 0 else None
            old["processed_at"] = _or(old.get("processed_at"), _or(row.get("processed_at"), expired))
        fields = ("captured", "refunded", "hold_id", "failure_code", "failure_reason", "cancel_reason", "review")
        self._change("payments", rows, "payment_id", *fields, "authorized_at", "updated_at", "version")

    def insert_transfers(self, rows: Sequence[Row]) -> None:
        begun = [{**row, "location": _or(row.get("location"), "source")} for row in rows]
        for row in begun:
            row.pop("refunded_to", None)
        self._insert("transfers", begun, "transfer_id")

    def update_transfers(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if (old := self.table("transfers").get(row["transfer_id"])) is not None:
                elsewhere = row.get("refunded_to") is not None and row["refunded_to"] != old.get("from_account")
                old["location"] = "returned" if elsewhere else _or(row.get("location"), old["location"])
                old["legs"] = old["legs"] + row["legs"]
        fields = ("status", "failure_code", "failure_reason", "hold_id", "reserved_until")
        self._change("transfers", rows, "transfer_id", *fields, "updated_at", "finished_at", "version")

    # --- fraud cases ------------------------------------------------------------

    def open_cases(self, rows: Sequence[Row]) -> None:
        fixed = {"status": "open", "notes": [], "version": 1, "frozen": False}
        self._insert("fraud_cases", [{**row, **fixed, "updated_at": row["opened_at"]} for row in rows], "case_id")

    def change_cases(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if (old := self.table("fraud_cases").get(row["case_id"])) is not None:
                old["notes"] = old["notes"] + row["notes"]
        fields = ("status", "assignee", "escalated_at", "decided_at", "decided_by", "decision_note", "frozen")
        self._change("fraud_cases", rows, "case_id", *fields, "updated_at", "version")

    def add_screenings(self, rows: Sequence[Row]) -> None:
        for row in rows:
            sums = self.table("screenings").setdefault(row["day"], {"day": row["day"], "screened": 0, "held": 0})
            sums["screened"] += row["screened"]
            sums["held"] += row["held"]

    def issue_quotes(self, rows: Sequence[Row]) -> None:
        numbers = ("rate", "mid", "spread")
        issued = [{**row, **{name: json.loads(row[name]) for name in numbers}} for row in rows]
        self._insert("quotes", issued, "quote_id")

    def use_quotes(self, rows: Sequence[Row]) -> None:
        self._change("quotes", rows, "quote_id", "used_by", "used_at")

    # --- what is counted of payments ------------------------------------------------------------

    def _counted(self, name: str, row: Row, keep: dict[str, str]) -> tuple[Row | None, Row]:
        """A payment as it was counted, and as it is now; `keep`: column → field of the row."""
        known = self.table(name)
        old = known.get(row["payment_id"])
        before = old or {}
        now: Row = {"payment_id": row["payment_id"]}
        for column, field in keep.items():
            now[column] = _or(row.get(field), before.get(column))
        now["captured"] = _or(row.get("captured"), before.get("captured", 0))
        now["refunded"] = _or(row.get("refunded"), before.get("refunded", 0))
        status = _or(row.get("status"), before.get("status"))
        now["status"] = present_status(status, now["captured"], now["refunded"])
        known[row["payment_id"]] = now
        return old, now

    def summarise(self, rows: Sequence[Row]) -> None:
        table = self.table("user_payment_summary")
        for row in rows:
            keep = {"user_id": "from_user", "currency": "currency"}
            old, now = self._counted("summarised_payments", row, keep)
            key = (now["user_id"], now["currency"])
            sums = table.setdefault(key, {
                "user_id": key[0], "currency": key[1], "total_payments": 0, "total_amount": 0,
                "failed_payments": 0, "pending_payments": 0, "last_payment_at": None,
            })  # fmt: skip
            for counted, sign in ((old, -1), (now, 1)):
                if counted is not None:
                    sums["failed_payments"] += sign * (counted["status"] == "failed")
                    sums["pending_payments"] += sign * (counted["status"] in PENDING)
            if (created := row.get("created_at")) is not None:
                sums["total_payments"] += 1
                sums["total_amount"] += row["amount"]
                last = sums["last_payment_at"]
                sums["last_payment_at"] = created if last is None else max(last, created)

    def analyse(self, rows: Sequence[Row]) -> None:
        change: Counter[tuple[Any, ...]] = Counter()
        for row in rows:
            keep = {"day": "day", "currency": "currency", "amount": "amount"}
            for counted, sign in zip(self._counted("counted_payments", row, keep), (-1, 1), strict=True):
                if counted is not None:
                    key = (counted["day"], counted["currency"], counted["status"])
                    change["payments", key] += sign
                    change["amount", key] += sign * counted["amount"]
        table = self.table("payment_analytics")
        for (column, key), value in change.items():
            if value:
                new = {"day": key[0], "currency": key[1], "status": key[2], "payments": 0, "amount": 0}
                table.setdefault(key, new)[column] += value

    def sweep(self, _rows: Sequence[Row]) -> None:
        table = self.table("payment_analytics")
        for key in [key for key, bucket in table.items() if not bucket["payments"]]:
            del table[key]


_DO: dict[str, Callable[[ViewTables, Sequence[Row]], None]] = {
    accounts.INSERT: ViewTables.insert_accounts,
    accounts.UPDATE: ViewTables.update_accounts,
    in_transit_and_suspense.SET_OUT: ViewTables.money_set_out,
    in_transit_and_suspense.MOVED: ViewTables.money_moved,
    in_transit_and_suspense.ARRIVED: ViewTables.money_arrived,
    ledger.INSERT: ViewTables.insert_entries,
    ledger.SET_OUT: ViewTables.entries_set_out,
    ledger.MOVED: ViewTables.entries_moved,
    ledger.ARRIVED: ViewTables.entries_arrived,
    conservation.BALANCES: ViewTables.balances,
    conservation.EXTERNAL: ViewTables.external,
    conservation.UNDER_WAY: ViewTables.under_way,
    payments.INSERT: ViewTables.insert_payments,
    payments.UPDATE: ViewTables.update_payments,
    transfers.INSERT: ViewTables.insert_transfers,
    transfers.UPDATE: ViewTables.update_transfers,
    user_payment_summary.OPENED: ViewTables.summarise,
    user_payment_summary.CHANGED: ViewTables.summarise,
    payment_analytics.OPENED: ViewTables.analyse,
    payment_analytics.CHANGED: ViewTables.analyse,
    payment_analytics.SWEEP: ViewTables.sweep,
    fraud_cases.OPEN: ViewTables.open_cases,
    fraud_cases.CHANGE: ViewTables.change_cases,
    screenings.ADD: ViewTables.add_screenings,
    quotes.ISSUED: ViewTables.issue_quotes,
    quotes.USED: ViewTables.use_quotes,
}

ViewTables.KNOWN = frozenset(_DO)
