#!/usr/bin/env python
"""Tidemark's command line: `python starter.py --help`.

Exit codes: 0 done, 1 refused by the domain, 2 usage, 3 a part is unreachable.
"""

from __future__ import annotations

import logging
from typing import NoReturn

import typer

from cli import (
    accounts,
    api,
    backup,
    batch,
    bench,
    demo,
    fraud,
    keys,
    local,
    look,
    markets,
    operate,
    orders,
    payments,
    quotes,
    standing_orders,
    statements,
    transfer_batches,
    transfers,
)
from wiring import leave

app = typer.Typer(
    help="Tidemark: event-sourced payments. Every command takes --json and --data DIR.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 100},
)
app.add_typer(accounts.app, name="account")
app.add_typer(keys.keys_app, name="keys")
app.add_typer(fraud.app, name="fraud")
for group in (
    demo,
    payments,
    transfers,
    orders,
    markets,
    quotes,
    standing_orders,
    statements,
    batch,
    transfer_batches,
    look,
    operate,
    local,
    backup,
    api,
    bench,
):
    group.register(app)


def main() -> NoReturn:
    """Runs the command that was given; never returns."""
    # What a library has to say about a lost connection comes to the user as one line of ours.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    try:
        app()
    except SystemExit as done:
        leave(done.code if isinstance(done.code, int) else 1)
    raise AssertionError("typer always exits")


if __name__ == "__main__":
    main()
