"""`starter.py fraud limits|stats|backtest`: the rules. Set for one account, measured, tried on the past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import orjson
import typer
from pydantic import ValidationError

from cli.arguments import KeyOption
from cli.ids import new_id
from cli.output import JsonOption, console, errors, invalid, print_fields, print_json, print_table
from cli.reading import run_query
from cli.session import DATA, DataOption, Session, run, usage
from domain.account_messages import AccountLimits
from domain.screening import ScreeningLimits
from operations.backtest import Backtest
from operations.backtest import backtest as try_rules
from queries.fraud import fraud_analytics

DAYS = 30


def register(app: typer.Typer) -> None:
    """Puts the commands of this module on `fraud`."""
    app.command()(limits)
    app.command()(stats)
    app.command()(backtest)


def limits(
    account_id: Annotated[str, typer.Argument(metavar="ACCOUNT")],
    review_above: Annotated[str | None, typer.Option("--review-above", help="Major units.")] = None,
    velocity_max: Annotated[int | None, typer.Option("--velocity-max", min=1, max=64)] = None,
    new_payee_above: Annotated[str | None, typer.Option("--new-payee-above", help="Major units.")] = None,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Give one account screening limits of its own; without an option, everybody's again."""
    given = {"review_above": review_above, "velocity_max": velocity_max, "new_payee_above": new_payee_above}

    async def work(session: Session) -> object:
        own = AccountLimits.model_validate(given)
        return await session.accounts.set_limits(account_id, new_id(command_id), own)

    step = run(data, as_json, work)
    if as_json:
        print_json(step)
    else:
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in given.items() if value is not None)
        console.print(f"account [bold]{account_id}[/bold]: {told or 'limits as for everybody'}", soft_wrap=True)


def stats(
    days: Annotated[int, typer.Option("--days", min=1, max=3650)] = DAYS,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """How often each rule fired and was right, and how long cases wait."""
    today = datetime.now(UTC).date()
    found = run_query(data, as_json, fraud_analytics(today - timedelta(days), today))
    if as_json:
        print_json(found)
        return
    console.print(f"{found.screened} screened since {found.from_day}, {found.held} held")
    rows = [(r.rule, r.hits, r.hit_rate, r.confirmed, r.cleared, r.precision) for r in found.rules]
    columns = ("rule", "cases", "of screened", "fraud", "cleared", "right")
    print_table("Rules", columns, rows, right=columns[1:])
    queue = [
        (q.status, q.cases, q.unassigned, q.overdue, round(q.median_s), round(q.oldest_s)) for q in found.queue
    ]
    columns = ("waiting", "cases", "unassigned", "overdue", "median s", "oldest s")
    print_table("Queue", columns, queue, right=columns[1:])


def backtest(
    rules: Annotated[Path, typer.Argument(metavar="RULES", help="A JSON file of screening limits.")],
    since: Annotated[datetime | None, typer.Option("--from", help="From this day or time on (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="Before this day or time (UTC).")] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Try another set of rules on the past: what would be held, and which known fraud it would catch."""
    tried = _rules(rules, as_json)

    async def work(session: Session) -> Backtest:
        end = (await session.books.store.head()).last_position
        with errors.status("reading the log") as status:
            async for step in try_rules(session.books.store, tried, _utc(since), _utc(until)):
                if isinstance(step, Backtest):
                    return step
                status.update(f"reading the log: {step} of {end}")
        raise AssertionError("a backtest ends with its result")

    found = run(data, as_json, work)
    if as_json:
        print_json(found)
        return
    print_fields(
        "What these rules would have done",
        {
            "screened": found.screened,
            "held": f"{found.held}, {found.declined} of them declined; {found.was_held} were held",
            "newly held": found.newly_held,
            "no longer held": found.no_longer_held,
            "known fraud": f"{found.fraud}, {found.caught} of it caught",
            "missed": ", ".join(found.missed),
            "held amounts": ", ".join(f"{amount} {code}" for code, amount in found.held_amount.items()),
            "rules that fired": ", ".join(f"{rule} {hits}" for rule, hits in found.hits.items()),
        },
    )
    rows = [
        (e.subject, e.at.isoformat(" ", "seconds"), e.amount, e.score, "; ".join(e.reasons))
        for e in found.examples
    ]
    if rows:
        print_table(
            "Newly held, the latest first", ("what", "at", "amount", "score", "why"), rows, right=("score",)
        )


def _rules(path: Path, as_json: bool) -> ScreeningLimits:
    try:
        return ScreeningLimits.model_validate(orjson.loads(path.read_bytes()))
    except OSError as fault:
        raise usage(f"{path}: {fault.strerror}", as_json) from None
    except orjson.JSONDecodeError as fault:
        raise usage(f"{path} is not JSON: {fault}", as_json) from None
    except ValidationError as fault:
        raise usage(f"{path}: {invalid(fault)[0]}", as_json) from None


def _utc(given: datetime | None) -> datetime | None:
    return None if given is None else given.replace(tzinfo=UTC)
