"""`starter.py fraud …`: the analyst's desk: cases, and the risk profiles of users."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from activities.fraud_steps import AssignWish, CaseOrder, CaseStep, DecideWish, EscalateWish, FreezeWish, NoteWish
from cli import fraud_rules
from cli.arguments import ByOption, KeyOption, LimitOption, NoteOption
from cli.ids import new_id
from cli.output import JsonOption, console, print_fields, print_json, print_table
from cli.reading import run_query
from cli.session import ACTOR, DATA, DataOption, Session, run, usage
from domain.streams import payment_stream, transfer_stream
from queries.fraud import get_fraud_case, list_fraud_cases, risk_profile, similar_fraud_cases
from queries.fraud_results import FraudCaseView

app = typer.Typer(help="Fraud cases, risk profiles, rules tried on the past.", no_args_is_help=True)
fraud_rules.register(app)
CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="The case's id, for instance payment-p-1.")]
COLUMNS = ("case", "status", "score", "user", "amount", "with", "why")


@app.command("list")
def list_(
    status: Annotated[list[str] | None, typer.Option("--status", help="May be repeated.")] = None,
    user: Annotated[str | None, typer.Option("--user")] = None,
    account: Annotated[str | None, typer.Option("--account", help="On either side.")] = None,
    assignee: Annotated[str | None, typer.Option("--assignee")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Cases, the newest first."""
    page = run_query(data, as_json, list_fraud_cases(status, user, account, assignee, limit))
    _print_cases("Fraud cases", page.items, as_json)


@app.command()
def show(case_id: CaseArgument, as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """One case, its notes, and the cases most like it."""
    case = run_query(data, as_json, get_fraud_case(case_id))
    similar = run_query(data, as_json, similar_fraud_cases(case_id, 5))
    if as_json:
        print_json({"case": case, "similar": similar})
        return
    shown = {name: value for name, value in fields_of(case).items() if name not in ("notes", "reasons", "rules")}
    print_fields(f"Fraud case {case_id}", shown | {"reasons": "; ".join(case.reasons)})
    if case.notes:
        print_table("Notes", ("at", "by", "note"), [(n["at"], n["by"], n["note"]) for n in case.notes])
    if similar:
        _print_cases("Most like it", similar, as_json)


@app.command("open")
def open_(
    risk_score: Annotated[int, typer.Option("--score", min=0, max=100, help="How bad it looks, 0 to 100.")],
    reason: Annotated[str, typer.Option("--reason", help="Why somebody should look at it.")],
    account: Annotated[str | None, typer.Option("--account")] = None,
    payment: Annotated[str | None, typer.Option("--payment")] = None,
    transfer: Annotated[str | None, typer.Option("--transfer")] = None,
    case_id: Annotated[str | None, typer.Option("--id", help="The case's id: repeating it opens one.")] = None,
    by: ByOption = ACTOR,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Open a case by hand: CreateFraudCase, with a risk score and a reason."""
    if sum(about is not None for about in (account, payment, transfer)) != 1:
        raise usage("say one of --account, --payment and --transfer", as_json)
    subject = payment_stream(payment) if payment else transfer_stream(transfer) if transfer else None

    async def work(session: Session) -> CaseStep:
        order = CaseOrder(
            case_id=new_id(case_id),
            source="analyst",
            account_id=account,
            subject=subject,
            risk_score=risk_score,
            reason=reason,
            actor=by,
        )
        return await session.fraud.open(order)

    _say(run(data, as_json, work), as_json)


def _ask(
    data: Path,
    as_json: bool,
    case_id: str,
    command: str,
    command_id: str | None,
    by: str,
    wish: Callable[[dict[str, Any]], object],
) -> None:
    async def work(session: Session) -> CaseStep:
        step: CaseStep = await getattr(session.fraud, command)(
            case_id, wish({"wish_id": new_id(command_id), "actor": by})
        )
        return step

    _say(run(data, as_json, work), as_json)


@app.command()
def assign(
    case_id: CaseArgument,
    analyst: Annotated[str, typer.Argument(metavar="ANALYST")],
    by: ByOption = ACTOR,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Somebody takes the case on."""
    _ask(data, as_json, case_id, "assign", command_id, by, lambda told: AssignWish(analyst=analyst, **told))


@app.command()
def note(
    case_id: CaseArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    by: ByOption = ACTOR,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Keep what somebody found out."""
    _ask(data, as_json, case_id, "note", command_id, by, lambda told: NoteWish(note=text, **told))


@app.command()
def escalate(
    case_id: CaseArgument,
    reason: Annotated[str, typer.Option("--reason")] = "by hand",
    by: ByOption = ACTOR,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Somebody else must decide."""
    _ask(data, as_json, case_id, "escalate", command_id, by, lambda told: EscalateWish(reason=reason, **told))


@app.command()
def freeze(
    case_id: CaseArgument,
    by: ByOption = ACTOR,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Freeze the case's account."""
    _ask(data, as_json, case_id, "freeze", command_id, by, lambda told: FreezeWish(**told))


@app.command()
def approve(
    case_id: CaseArgument,
    note: NoteOption = None,
    by: ByOption = ACTOR,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Unfounded: what is held goes on."""
    _ask(
        data, as_json, case_id, "decide", command_id, by, lambda told: DecideWish(approve=True, note=note, **told)
    )


@app.command()
def reject(
    case_id: CaseArgument,
    note: NoteOption = None,
    freeze_account: Annotated[bool, typer.Option("--freeze", help="Freeze the account too.")] = False,
    by: ByOption = ACTOR,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """It was fraud: what is held is voided."""
    _ask(
        data,
        as_json,
        case_id,
        "decide",
        command_id,
        by,
        lambda told: DecideWish(approve=False, note=note, freeze=freeze_account, **told),
    )


@app.command()
def profile(
    user_id: Annotated[str, typer.Argument(metavar="USER")], as_json: JsonOption = False, data: DataOption = DATA
) -> None:
    """A user's risk profile."""
    found = run_query(data, as_json, risk_profile(user_id))
    if as_json:
        print_json(found)
    else:
        rules = ", ".join(f"{rule} {hits}" for rule, hits in found.rules.items())
        print_fields(f"Risk profile of {user_id}", fields_of(found) | {"rules": rules})


def _print_cases(title: str, cases: tuple[FraudCaseView, ...], as_json: bool) -> None:
    if as_json:
        print_json({"items": cases})
        return
    rows = [
        (
            case.case_id,
            case.status,
            case.risk_score,
            case.user_id,
            f"{case.amount} {case.currency}" if case.amount else "",
            case.assignee,
            "; ".join(case.reasons),
        )
        for case in cases
    ]
    print_table(title, COLUMNS, rows, right=("score",))


def _say(step: CaseStep, as_json: bool) -> None:
    if as_json:
        print_json(step)
        return
    about = step.subject or f"account {step.account_id}"
    who = f", with {step.assignee}" if step.assignee else ""
    score = f"risk score {step.risk_score}{'; the account is frozen' if step.frozen else ''}"
    console.print(
        f"fraud case [bold]{step.case_id}[/bold] {step.status}{who}: {about}, {score}",
        soft_wrap=True,
    )


def fields_of(value: object) -> dict[str, Any]:
    """A result's fields by name."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}  # type: ignore[attr-defined]
