"""`starter.py quote`: have a rate promised, for `transfer --quote` or `pay --quote`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import typer

from activities.rates import RateProvider
from cli.arguments import AmountArgument, CursorOption, LimitOption, money
from cli.ids import new_id
from cli.output import JsonOption, console, print_json, print_more, print_table
from cli.reading import run_query
from cli.session import ACTOR, DATA, DataOption, Session, run
from commands.quotes import QuoteCommands, QuoteRequest, QuoteStep
from queries.quotes import list_quotes

QuoteOption = Annotated[
    str | None, typer.Option("--quote", help="Of `quote`: for accounts in different currencies.")
]


@asynccontextmanager
async def quotes_of(session: Session) -> AsyncIterator[QuoteCommands]:
    """The commands about quotes, over an HTTP client for the rate provider."""
    async with httpx.AsyncClient() as http:
        fx = session.settings.fx
        yield QuoteCommands(session.books.ledger, RateProvider(http, fx), fx, ACTOR)


def register(app: typer.Typer) -> None:
    """Puts the command of this module on the main application."""
    app.command()(quote)
    app.command()(quotes)


def quote(
    amount: AmountArgument,
    from_currency: Annotated[str, typer.Argument(metavar="FROM", help="What is sold.")],
    to_currency: Annotated[str, typer.Argument(metavar="TO", help="What is bought.")],
    buy: Annotated[bool, typer.Option("--buy", help="AMOUNT is of TO, to be bought exactly.")] = False,
    valid_for_s: Annotated[
        int | None, typer.Option("--valid-for", min=1, help="Seconds for which the rate is locked.")
    ] = None,
    quote_id: Annotated[str | None, typer.Option("--id", help="The quote's id: repeating it quotes once.")] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Ask what AMOUNT costs or buys in another currency; the answer is good for one payment or transfer."""

    async def work(session: Session) -> QuoteStep:
        sold, bought = from_currency.upper(), to_currency.upper()
        request = QuoteRequest(
            quote_id=new_id(quote_id),
            from_currency=sold,
            to_currency=bought,
            amount=money(amount, bought if buy else sold),
            valid_for_s=valid_for_s,
        )
        async with quotes_of(session) as commands:
            return await commands.issue(request)

    step = run(data, as_json, work)
    if as_json:
        print_json(step)
        return
    console.print(
        f"quote [bold]{step.quote_id}[/bold] {step.status}: {step.sells} buys {step.buys} at {step.rate}, "
        f"until {step.expires_at:%Y-%m-%d %H:%M:%S} UTC",
        soft_wrap=True,
    )


def quotes(
    limit: LimitOption = 50, cursor: CursorOption = None, as_json: JsonOption = False, data: DataOption = DATA
) -> None:
    """Quotes, the newest first, from the view."""
    page = run_query(data, as_json, list_quotes(None, limit, cursor))
    if as_json:
        print_json(page)
        return
    print_table(
        "Quotes",
        ["quote", "sells", "buys", "rate", "until", "used by"],
        [
            (
                x.quote_id,
                f"{x.sells} {x.from_currency}",
                f"{x.buys} {x.to_currency}",
                x.rate,
                f"{x.expires_at:%Y-%m-%d %H:%M:%S}",
                x.used_by or "",
            )
            for x in page.items
        ],
        right=["sells", "buys"],
    )
    print_more(page.next_cursor)
