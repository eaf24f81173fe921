#!/usr/bin/env python
"""Tidemark's command line: `python starter.py --help`.

Exit codes: 0 done, 1 refused by the domain, 2 usage, 3 a part is unreachable.
"""

from __future__ import annotations

import typer

from cli import accounts, local, look, operate, payments, transfers

app = typer.Typer(
    help="Tidemark: event-sourced payments. Every command takes --json and --data DIR.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 100},
)
app.add_typer(accounts.app, name="account")
for group in (payments, transfers, look, operate, local):
    group.register(app)

if __name__ == "__main__":
    app()
