"""`starter.py demo`: the scenario of demo/ on a real local stack, and what it left behind."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random, SystemRandom
from typing import Annotated

import httpx
import typer

import stack
from activities.rates import RateProvider
from cli.batch import launch
from cli.demo_report import DemoResult, as_document, look_around, print_report
from cli.local import stack_config
from cli.output import REFUSED, JsonOption, console, errors, print_json
from cli.progress import counting
from cli.session import DATA, DataOption, Session, guarded, run
from commands.batch import in_parallel
from commands.quotes import QuoteCommands
from demo import payfile, script
from demo.acts import ACTOR, Act, Played, Stage, play
from demo.bank import OtherBank, other_bank
from demo.cast import RAIL, Cast, open_cast
from demo.rates import rate_desk
from payfiles.read import read_payment_file

IN_FLIGHT = 24
SMALLEST, LARGEST = 100, 100_000
_RUN_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"
_RUN_CHARS = 6


def register(app: typer.Typer) -> None:
    """Puts the command of this module on the main application."""
    app.command()(demo)


def demo(
    count: Annotated[
        int, typer.Option("--count", min=SMALLEST, max=LARGEST, help="How many payments, transfers and orders.")
    ] = 200,
    seed: Annotated[int | None, typer.Option("--seed", help="For the same amounts and parties again.")] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Run payments, transfers and orders of every kind on a local stack, and show what became of them."""
    dice = SystemRandom()
    chosen = dice.randrange(1_000_000) if seed is None else seed
    cast = Cast("".join(dice.choices(_RUN_ALPHABET, k=_RUN_CHARS)), count)
    if not as_json:
        console.print(f"[bold]Tidemark demo[/bold], run {cast.run}, seed {chosen}")

    def work() -> DemoResult:
        with rate_desk() as rates_url, _running_stack(data, as_json, rates_url) as (running, bank):

            async def acts(session: Session) -> DemoResult:
                async with httpx.AsyncClient() as http:
                    fx = session.settings.fx.model_copy(update={"rates_url": rates_url})
                    quotes = QuoteCommands(session.books.ledger, RateProvider(http, fx), fx, ACTOR)
                    return await perform(session, quotes, cast, chosen, bank, data, as_json)

            result = run(data, as_json, acts)
            stays_up = running is None or (console.is_terminal and not as_json)
            if as_json:
                print_json(as_document(result))
            else:
                print_report(result, data, stays_up)
            if running is not None and stays_up:
                console.print("\nEverything stays up until Ctrl-C.")
                running.wait()
        return result

    if not guarded(as_json, work).good:
        raise typer.Exit(REFUSED)


@contextlib.contextmanager
def _running_stack(
    data: Path, quiet: bool, rates_url: str
) -> Iterator[tuple[stack.Stack | None, OtherBank | None]]:
    """The stack that runs on `data`, left running; or one of our own with the demo's other bank, for the block."""
    if stack.read_info(data) is not None:
        if not quiet:
            console.print("Using the stack that is up already: without the acts that need the demo's own rail")
        yield None, None
        return
    with contextlib.ExitStack() as entered, stack.console_progress(errors) as progress:
        bank = entered.enter_context(other_bank())
        rails = {**json.loads(os.environ.get("TIDEMARK_RAILS") or "{}"), RAIL: bank.url}
        config = stack_config(data, progress)
        config = replace(
            config, env={"TIDEMARK_FX__RATES_URL": rates_url, **config.env, "TIDEMARK_RAILS": json.dumps(rails)}
        )
        running = entered.enter_context(stack.up(config))
        up = entered.pop_all()
    with up:
        yield running, bank


async def perform(
    session: Session,
    quotes: QuoteCommands,
    cast: Cast,
    seed: int,
    bank: OtherBank | None,
    data: Path,
    quiet: bool,
) -> DemoResult:
    """Opens the accounts, plays every act and the payment file, and looks at what is there then."""
    acts = script.write(cast, cast.count - payfile.COUNT, Random(seed), with_rail=bank is not None)  # noqa: S311
    stage = Stage(
        cast,
        session.accounts,
        session.payments,
        session.transfers,
        session.fraud,
        session.orders,
        session.market,
        session.standing_orders,
        quotes,
        session.books.ledger,
        session.temporal,
        bank,
    )
    accounts = await open_cast(cast, session.accounts)
    if not quiet:
        console.print(
            f"{accounts} accounts opened; {len(acts)} payments, transfers and orders, {IN_FLIGHT} at a time"
        )
    started = time.monotonic()
    with counting("payments, transfers and orders", len(acts), quiet) as progress:

        async def one(act: Act) -> Played:
            played = await play(stage, act)
            progress(played.ended)
            return played

        played = await in_parallel(IN_FLIGHT, acts, one)
    path = payfile.write_file(cast, data / "demo")
    file = read_payment_file(path)
    if not quiet:
        console.print(f"and a payment file of {file.count} transfers: {path.name}")
    batch = await launch(session, file, open_missing=True, in_flight=IN_FLIGHT, quiet=quiet)
    took_s = time.monotonic() - started
    aftermath = await look_around(session, played, cast.person("lena", "EUR"))
    return DemoResult(cast.run, seed, session.info, path.name, played, file, batch, took_s, aftermath)
