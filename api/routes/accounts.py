"""/v1/accounts: open, look, pay in and out, freeze, unfreeze, close; statements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, BeforeValidator
from starlette.responses import Response

from activities.steps import AccountStep
from api.bodies import Movement, NewAccount, NewLimits, StatusChange, written_out
from api.call import Call, IfMatch, Operating, Reading, Writing, answer, etag_of, version_of
from api.documented import ACCOUNT, ENTRY, reads, writes
from api.strict import StrictRoute
from commands.accounts import AccountCommands, account_key
from commands.catalogue import COMMANDS
from domain.account_messages import AccountLimits
from domain.model import Id
from domain.streams import account_stream
from queries.accounts import AccountView, account_entries, get_account, list_accounts
from queries.paging import Page
from queries.standing import standing_account
from queries.statement_results import StatementLine

router = APIRouter(prefix="/v1/accounts", tags=["accounts"], route_class=StrictRoute)

PLATFORM = ("fx-", "fees-")
"""The platform's own accounts begin with these: they open with their first posting, and are nobody else's."""

AccountId = Annotated[Id, Path(examples=["acc-ann"])]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")]


@router.post("", status_code=201, response_model=AccountView, responses=writes(201, ACCOUNT))
async def open_account(body: NewAccount, call: Writing) -> Response:
    """Open an account. Its id is its own idempotency key."""
    if not call.who.sees(body.user_id):
        call.must_be_unbound("open an account for another user")
    if body.account_id is not None and body.account_id.startswith(PLATFORM):
        call.must_be_unbound("open an account of the platform's")
    if body.overdraft_limit is not None:
        call.must_be_unbound("grant an overdraft")
    account_id = body.account_id or call.new_id("acc")

    async def work() -> Response:
        await COMMANDS["open_account"](
            call.accounts(),
            account_id,
            body.user_id,
            str(body.currency),
            overdraft_limit=body.overdraft,
            iban=_plain_iban(body.iban),
        )
        return await _written(call, account_id, "open", 201, Location=f"/v1/accounts/{account_id}")

    return await call.once(work, body.account_id, from_log=True)


@router.get("", response_model=Page[AccountView], responses=reads({"items": [ACCOUNT], "next_cursor": None}))
async def list_(call: Reading, user_id: Id | None = None, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Accounts, the newest first: of one user, or all that the key may see."""
    mine = call.who.user_id
    if mine is not None and user_id not in (None, mine):
        return answer(Page[AccountView](()))
    return await call.ask(list_accounts(mine or user_id, limit, cursor))


@router.get(
    "/{account_id}",
    response_model=AccountView,
    responses={**reads(ACCOUNT, 404), 304: {"description": "Not changed."}},
)
async def get(
    account_id: AccountId,
    call: Reading,
    as_of: Annotated[
        AwareDatetime | None,
        BeforeValidator(written_out),
        Query(description="As it was at this instant (RFC 3339)."),
    ] = None,
) -> Response:
    """One account, now or as it was."""
    missing = f"account {account_id} does not exist"
    if as_of is None:
        return await call.ask(get_account(account_id), seen_by=lambda a: [a.user_id], missing=missing, etag=True)
    found = await standing_account(call.services.lookups, account_id, instant=as_of.astimezone(UTC))
    if found is None or not call.who.sees(found.user_id):
        call.not_there(missing)
    return answer(found, headers={"ETag": etag_of(found.version)})


@router.get(
    "/{account_id}/entries",
    response_model=Page[StatementLine],
    responses=reads({"items": [ENTRY], "next_cursor": "WyJlbnRyaWVzIiwxMiwwXQ"}, 404),
)
async def entries(account_id: AccountId, call: Reading, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """What was booked, the newest first: running balance, category, tags, location."""
    await call.must_own(account_id, None)
    return await call.ask(account_entries(account_id, limit, cursor))


@router.post(
    "/{account_id}/deposits", status_code=201, response_model=AccountView, responses=writes(201, ACCOUNT, 412)
)
async def deposit(account_id: AccountId, body: Movement, call: Writing, if_match: IfMatch = None) -> Response:
    """Money comes in from outside."""
    call.must_be_unbound("pay in from outside")
    return await _move(call, account_id, if_match, "deposit", body)


@router.post(
    "/{account_id}/withdrawals", status_code=201, response_model=AccountView, responses=writes(201, ACCOUNT, 412)
)
async def withdraw(account_id: AccountId, body: Movement, call: Writing, if_match: IfMatch = None) -> Response:
    """Money leaves for outside."""
    return await _move(call, account_id, if_match, "withdraw", body)


@router.post(
    "/{account_id}/freeze", response_model=AccountView, responses=writes(200, ACCOUNT | {"status": "frozen"}, 412)
)
async def freeze(
    account_id: AccountId, call: Writing, body: StatusChange | None = None, if_match: IfMatch = None
) -> Response:
    """No new debit or hold from now on; credits still come in."""
    return await _change(call, account_id, if_match, "freeze", body)


@router.post("/{account_id}/unfreeze", response_model=AccountView, responses=writes(200, ACCOUNT, 412))
async def unfreeze(
    account_id: AccountId, call: Writing, body: StatusChange | None = None, if_match: IfMatch = None
) -> Response:
    """As before the freeze."""
    call.must_be_unbound("lift a freeze")
    return await _change(call, account_id, if_match, "unfreeze", body)


@router.post(
    "/{account_id}/close", response_model=AccountView, responses=writes(200, ACCOUNT | {"status": "closed"}, 412)
)
async def close(
    account_id: AccountId, call: Writing, body: StatusChange | None = None, if_match: IfMatch = None
) -> Response:
    """Close an account on which nothing is left and nothing held."""
    return await _change(call, account_id, if_match, "close", body)


@router.post("/{account_id}/limits", response_model=AccountView, responses=writes(200, ACCOUNT, 412))
async def set_limits(
    account_id: AccountId, body: NewLimits, call: Operating, if_match: IfMatch = None
) -> Response:
    """Screening limits of its own, instead of everybody's; an empty body takes them away."""
    limits = AccountLimits.model_validate(body.model_dump())
    return await _do(
        call,
        account_id,
        if_match,
        "limits",
        lambda accounts, key: COMMANDS["set_account_limits"](accounts, account_id, key, limits),
    )


async def _move(call: Call, account_id: str, if_match: str | None, action: str, body: Movement) -> Response:
    """Money in or out."""

    def command(accounts: AccountCommands, key: str) -> Awaitable[AccountStep]:
        return COMMANDS[action](accounts, account_id, body.money, key, body.reference)

    return await _do(call, account_id, if_match, action, command, status=201)


async def _change(
    call: Call, account_id: str, if_match: str | None, action: str, body: StatusChange | None
) -> Response:
    """Another status."""
    reason = body.reason if body else None

    def command(accounts: AccountCommands, key: str) -> Awaitable[AccountStep]:
        return COMMANDS[action](accounts, account_id, key, reason)

    return await _do(call, account_id, if_match, action, command)


async def _do(
    call: Call,
    account_id: str,
    if_match: str | None,
    action: str,
    command: Callable[[AccountCommands, str], Awaitable[AccountStep]],
    *,
    status: int = 200,
) -> Response:
    """One command on one account, at the version asked for if one was."""
    command_id = call.new_id("c")

    async def work() -> Response:
        await call.must_own(account_id, "account_id")
        await command(call.accounts(version_of(if_match)), command_id)
        return await _written(call, account_id, f"{action}:{command_id}", status)

    return await call.once(work, from_log=True)


async def _written(call: Call, account_id: str, key: str, status: int, **headers: str) -> Response:
    """The account as this very command left it, whatever has happened to it since."""
    lookups, command_id = call.services.lookups, account_key(account_id, key)
    [stored] = (await lookups.commands([command_id])).values()
    append = await lookups.append(stored.append_id)
    last = [event for event in append if event.stream == account_stream(account_id)][-1]
    account = await standing_account(lookups, account_id, last.version)
    assert account is not None
    return await call.written(account, last, status, append, **headers)


def _plain_iban(iban: str | None) -> str | None:
    return iban.replace(" ", "").upper() if iban else None
