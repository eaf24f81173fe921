"""`starter.py keys create|list|rotate|revoke`: who may use the HTTP API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer

from api.keys import KeyRecord, create_key, list_keys, revoke_key, rotate_key
from cli.output import JsonOption, console, print_json, print_table
from cli.session import DATA, DataOption, addresses, guarded

T = TypeVar("T")

keys_app = typer.Typer(help="API keys: create, list, rotate, revoke.", no_args_is_help=True)
KeyArgument = Annotated[str, typer.Argument(metavar="KEY_ID", help="The part after tmk_.")]


def _owner(data: DataOption, as_json: bool, work: Callable[[str], T]) -> T:
    """`work` over the URL of the database's owner: the API itself can make no key."""

    def inside() -> T:
        info = addresses(data)
        return work(info.admin_database or info.database)

    return guarded(as_json, inside)


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose or what for.")],
    scope: Annotated[list[str], typer.Option("--scope", help="read, write (and read), operator (and both).")],
    user: Annotated[str | None, typer.Option("--user", help="Bound to this user's accounts and payments.")] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Make a key. It is shown now and never again."""
    _show_key(*_owner(data, as_json, lambda url: create_key(url, name, scope, user)), as_json)


@keys_app.command("list")
def list_(as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """Every key there was, without its secret."""
    records = _owner(data, as_json, list_keys)
    if as_json:
        print_json({"items": records})
        return
    print_table(
        f"{len(records)} keys",
        ["key", "name", "scopes", "user", "created", "rotated", "revoked", "last used"],
        [
            (
                x.key_id,
                x.name,
                " ".join(x.scopes),
                x.user_id,
                x.created_at,
                x.rotated_at,
                x.revoked_at,
                x.last_used_at,
            )
            for x in records
        ],
    )


@keys_app.command("rotate")
def rotate(key_id: KeyArgument, as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """Give a key a new secret; the old one is good no longer."""
    _show_key(*_owner(data, as_json, lambda url: rotate_key(url, key_id)), as_json)


@keys_app.command("revoke")
def revoke(key_id: KeyArgument, as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """End a key for good."""
    record = _owner(data, as_json, lambda url: revoke_key(url, key_id))
    if as_json:
        print_json(record)
    else:
        console.print(f"key {record.key_id} ({record.name}) is revoked")


def _show_key(key: str, record: KeyRecord, as_json: bool) -> None:
    if as_json:
        print_json({"key": key, **asdict(record)})
        return
    bound = f", bound to {record.user_id}" if record.user_id else ""
    console.print(f"key {record.key_id} ({record.name}): {' '.join(record.scopes)}{bound}")
    console.out(key, highlight=False)
