"""What a run of the demo left behind: gathered from the log and the views, and printed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.markup import escape

from cli.batch import as_document as batch_document
from cli.batch import print_heading, print_result
from cli.operate import print_lag
from cli.output import console, print_table
from cli.reading import open_reader
from cli.session import DATA, Session
from cli.statements import print_lines, print_sums
from cli.timeline import print_timeline, wire
from commands.batch import BatchResult
from demo.acts import Played
from domain.money import Money
from domain.streams import payment_stream, transfer_stream
from domain.transfer import TransferStatus
from eventstore.events import RecordedEvent
from operations.audit import Audit
from payfiles.model import PaymentFile
from queries.operation_results import Conservation, ViewLag
from queries.operations import conservation, lag
from queries.periods import months_back
from queries.statement_results import AccountSummary, Statement
from queries.statements import account_summary, whole_statement
from stack import StackInfo

SHOWN = (
    ("payment", "refunded in part", payment_stream),
    ("transfer", "destination closed", transfer_stream),
)
"""Kind and title of the acts whose time lines are printed: a payment's, and a compensated transfer's."""

VIEWS_WAIT_S = 30.0
POLL_S = 0.1
READ_BATCH = 1000
NEWEST = 4


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What can be seen afterwards: time lines by title, the views' lag, the whole log counted anew."""

    timelines: dict[str, list[RecordedEvent]]
    lag: tuple[ViewLag, ...]
    sums: tuple[Conservation, ...]
    audit: Audit
    statement: Statement
    summary: AccountSummary

    @property
    def views_agree(self) -> bool:
        """Whether the views say of conservation what the log does."""
        counted = {currency: total.wire(currency) for currency, total in self.audit.conservation().items()}
        seen = {one.currency: {**asdict(one), "balances": one.accounts} for one in self.sums}
        return counted.keys() == seen.keys() and all(
            seen[currency][name] == value for currency, wired in counted.items() for name, value in wired.items()
        )


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Everything there is to tell. `took_s` is the time of acts and payment file, without opening accounts."""

    run: str
    seed: int
    info: StackInfo
    file_name: str
    played: list[Played]
    file: PaymentFile
    batch: BatchResult
    took_s: float
    aftermath: Aftermath

    @property
    def count(self) -> int:
        return len(self.played) + len(self.batch.outcomes)

    @property
    def unplanned(self) -> list[Played]:
        return [played for played in self.played if not played.as_planned]

    @property
    def unpaid(self) -> int:
        """Transfers of the payment file that were not completed."""
        return sum(outcome.status != TransferStatus.COMPLETED for outcome in self.batch.outcomes)

    @property
    def views_late(self) -> bool:
        return not self.aftermath.lag or any(view.lag_events for view in self.aftermath.lag)

    @property
    def good(self) -> bool:
        """Everything ended as planned, nothing was lost or invented, the views have seen it all."""
        paid = not self.unpaid
        right = not self.aftermath.audit.findings and not self.views_late and self.aftermath.views_agree
        return not self.unplanned and paid and right


async def look_around(session: Session, played: Sequence[Played], account_id: str) -> Aftermath:
    """Waits for the views, reads the log once from its beginning, picks the time lines and one account."""
    views, sums = await _once_caught_up(session)
    audit, position = Audit(), 0
    while events := await session.books.store.read(position, READ_BATCH):
        for event in events:
            audit.see(event)
        position = events[-1].position or position
    audit.close()
    timelines = {}
    for kind, title, stream_of in SHOWN:
        act = next((p.act for p in played if p.act.kind == kind and p.act.title == title), None)
        if act is not None:
            stream = stream_of(act.subject_id)
            timelines[f"{kind} {act.subject_id}"] = await session.books.store.load(stream)
    now = datetime.now(UTC)
    async with open_reader(session.info) as reader:
        statement = (await reader.ask(whole_statement(account_id, now - timedelta(days=1), now))).value
        summary = (await reader.ask(account_summary(account_id, months_back(now, 1)))).value
    return Aftermath(timelines, views, sums, audit, statement, summary)


async def _once_caught_up(session: Session) -> tuple[tuple[ViewLag, ...], tuple[Conservation, ...]]:
    """The lag of each view, and what the views say of conservation."""
    deadline = time.monotonic() + VIEWS_WAIT_S
    async with open_reader(session.info) as reader:
        while True:
            found = (await reader.ask(lag())).value
            if not any(view.lag_events for view in found) or time.monotonic() > deadline:
                return found, (await reader.ask(conservation())).value
            await asyncio.sleep(POLL_S)


# --- for people ------------------------------------------------------------


def print_report(result: DemoResult, data: Path, stays_up: bool) -> None:
    """The whole report, made to be read from top to bottom. `stays_up`: the stack on `data` is not stopped now."""
    console.print()
    _print_special(result.played)
    _print_sums(result.played)
    print_heading(result.file, result.file_name)
    print_result(result.file, result.batch)
    for title, events in result.aftermath.timelines.items():
        console.print()
        print_timeline(title, events)
    console.print()
    _print_statement(result.aftermath)
    console.print()
    print_lag(result.aftermath.lag)
    console.print()
    _print_conservation(result.aftermath.audit)
    console.print()
    _print_verdict(result)
    _print_next(result, data, stays_up)


def _print_special(played: Sequence[Played]) -> None:
    groups: dict[tuple[str, str, str], list[Played]] = defaultdict(list)
    for one in played:
        groups[one.act.kind, one.act.title, one.ended].append(one)
    rows = [
        (kind, title, ended.replace("_", " "), len(group), group[0].act.subject_id)
        for (kind, title, ended), group in sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1])))
    ]
    print_table("What happened", ["kind", "what", "ended", "count", "for example"], rows, right=["count"])
    console.print()


def _print_sums(played: Sequence[Played]) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in played:
        key = (one.act.kind, one.ended)
        counts[key] += 1
        sums[key][one.act.amount.currency] += one.act.amount.minor
    rows = [
        (kind, ended.replace("_", " "), counts[kind, ended], _amounts(sums[kind, ended]))
        for kind, ended in sorted(counts)
    ]
    print_table("Summary", ["kind", "ended", "count", "amounts"], rows, right=["count"])
    console.print()


def _print_statement(aftermath: Aftermath) -> None:
    """One account: its period in a line, its newest entries, and where the money went."""
    print_lines(f"Statement of {aftermath.statement.account_id}, the newest", aftermath.summary.recent[:NEWEST])
    print_sums(aftermath.statement)
    spent = ", ".join(f"{line.category} {line.amount}" for line in aftermath.summary.spending)
    console.print(f"spent in {datetime.now(UTC):%B} on: {escape(spent)}")


def _amounts(sums: Counter[str]) -> str:
    return ", ".join(str(Money(minor, currency)) for currency, minor in sorted(sums.items()))


def _print_conservation(audit: Audit) -> None:
    columns = ["currency", "balances", "in transit", "in suspense", "deposits", "withdrawals", "difference"]
    rows = [tuple(total.wire(currency).values()) for currency, total in audit.conservation().items()]
    print_table("Conservation, counted from the whole log", columns, rows, right=columns[1:])


def _print_verdict(result: DemoResult) -> None:
    rate = result.count / result.took_s
    console.print(
        f"{result.count} payments, transfers and orders in {result.took_s:.1f} s: {rate:.1f} a second, "
        "measured here, with everything on this machine"
    )
    for played in result.unplanned:
        problem = f" ({escape(played.problem)})" if played.problem else ""
        act = played.act
        console.print(
            f"[red]not as planned[/red]: {act.kind} {act.subject_id}, {act.title}: "
            f"{played.ended} instead of {act.ends}{problem}",
            soft_wrap=True,
        )
    if result.unpaid:
        console.print(f"[red]not as planned[/red]: {result.unpaid} transfers of {result.file_name}")
    for finding in result.aftermath.audit.findings:
        console.print(f"[red]{finding.code}[/red] {escape(f'{finding.where}: {finding.message}')}", soft_wrap=True)
    if result.views_late:
        console.print(f"[red]the views have not caught up within {VIEWS_WAIT_S:.0f} s[/red]")
    elif not result.aftermath.views_agree:
        console.print("[red]the views' sums are not those of the log[/red]")
    if result.good:
        console.print("[green]Everything ended as planned; no money was lost or invented[/green]")


def _print_next(result: DemoResult, data: Path, stays_up: bool) -> None:
    """Where to look, with commands to copy."""
    given = "" if data == DATA else f" --data {data}"
    stuck = next((played.act.subject_id for played in result.played if played.ended == "stuck"), None)
    lena = next((p.act.source for p in result.played if p.act.source.startswith("lena-EUR")), None)
    commands = [f"show {title.split()[1]}" for title in result.aftermath.timelines]
    if stuck and lena:
        commands.append(f"resolve {stuck} return --to {lena}")
    if stuck:
        console.print(f"{stuck} is stuck on purpose: its money waits in suspense until somebody resolves it")
    console.print()
    if result.info.temporal_ui:
        console.print(
            f"Temporal web UI: {result.info.temporal_ui}{'' if stays_up else ' (while the stack is up)'}"
        )
    if stays_up:
        console.print("To look further, in another terminal:")
    else:
        console.print("To look further (`up` starts the stack again, and stays):")
        commands = ["up", *commands]
    for command in (*commands, "verify"):
        console.print(f"  .venv/bin/python starter.py {command}{given}", soft_wrap=True)


# --- for scripts -----------------------------------------------------------


def as_document(result: DemoResult) -> dict[str, Any]:
    """What `--json` prints."""
    after = result.aftermath
    return {
        "run": result.run,
        "seed": result.seed,
        "good": result.good,
        "count": result.count,
        "took_s": round(result.took_s, 3),
        "per_second": round(result.count / result.took_s, 2),
        "played": [
            {
                "kind": played.act.kind,
                "id": played.act.subject_id,
                "what": played.act.title,
                **played.act.amount.wire(),
                "planned": played.act.ends,
                "ended": played.ended,
                "problem": played.problem,
            }
            for played in result.played
        ],
        "batch": batch_document(result.file, result.batch),
        "timelines": {title: [wire(event) for event in events] for title, events in after.timelines.items()},
        "lag": [
            {"view": view.view, "position": view.position, "lag_events": view.lag_events, "lag_ms": view.lag_ms}
            for view in after.lag
        ],
        "conservation": [total.wire(currency) for currency, total in after.audit.conservation().items()],
        "findings": [asdict(finding) for finding in after.audit.findings],
        "statement": after.statement,
        "spending": after.summary.spending,
        "temporal_ui": result.info.temporal_ui or None,
    }
