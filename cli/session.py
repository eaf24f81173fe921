"""What a command needs: the running stack's addresses, and the ledger, Temporal and the views behind them.

A command talks to the stack in `--data DIR` (default `.data`), or to DATABASE_URL and TEMPORAL_ADDRESS where both
are set in the environment.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import psycopg
import psycopg_pool
import typer
from pydantic import ValidationError
from temporalio.client import Client
from temporalio.service import RPCError

from activities.rates import RatesUnavailable
from cli.output import REFUSED, UNREACHABLE, USAGE, fail, invalid
from commands.accounts import AccountCommands
from commands.fraud import FraudCommands
from commands.payments import PaymentCommands
from commands.running import NoAnswer
from commands.standing_orders import StandingOrderCommands
from commands.trading import MarketCommands, OrderCommands
from commands.transfer_batches import TransferBatchCommands
from commands.transfers import TransferCommands
from domain.errors import DomainError
from eventstore.errors import EventStoreError
from projections.errors import ProjectionError
from queries.errors import QueryError, ReadUnavailable
from settings import Settings
from stack import StackError, StackInfo, read_info
from wiring import Books, Unreachable, connect_temporal, open_books

T = TypeVar("T")

DataOption = Annotated[
    Path, typer.Option("--data", envvar="TIDEMARK_DATA", help="The local stack's data directory.")
]
DATA = Path(__file__).resolve().parent.parent / ".data"
ACTOR = "cli"


@dataclass(frozen=True, slots=True)
class Session:
    """Open connections of one command."""

    info: StackInfo
    settings: Settings
    books: Books
    temporal: Client

    @property
    def accounts(self) -> AccountCommands:
        return AccountCommands(self.books.ledger, ACTOR)

    @property
    def payments(self) -> PaymentCommands:
        return PaymentCommands(self.temporal, self.books.ledger, self.settings)

    @property
    def fraud(self) -> FraudCommands:
        return FraudCommands(self.temporal, self.books.ledger, self.settings)

    @property
    def batches(self) -> TransferBatchCommands:
        return TransferBatchCommands(self.temporal, self.books, self.settings)

    @property
    def transfers(self) -> TransferCommands:
        return TransferCommands(self.temporal, self.books.ledger, self.settings)

    @property
    def orders(self) -> OrderCommands:
        return OrderCommands(self.temporal, self.books.ledger, self.settings)

    @property
    def standing_orders(self) -> StandingOrderCommands:
        return StandingOrderCommands(self.temporal, self.books.ledger, self.settings)

    @property
    def market(self) -> MarketCommands:
        return MarketCommands(self.books.ledger, ACTOR)


def addresses(data: Path) -> StackInfo:
    """Where everything is. Raises Unreachable when no stack runs."""
    info = read_info(data)
    if info is None and os.environ.get("DATABASE_URL") and os.environ.get("TEMPORAL_ADDRESS"):
        url = os.environ["DATABASE_URL"]
        return StackInfo(
            temporal=os.environ["TEMPORAL_ADDRESS"],
            database=url,
            projector_database=url,
            read_database=url,
            admin_database=url,
        )
    if info is None:
        raise Unreachable(f"no stack is running on {data}: start one with `make up`, or name it with --data")
    return info


@asynccontextmanager
async def open_session(data: Path) -> AsyncIterator[Session]:
    """Connections to the stack on `data`."""
    info = addresses(data)
    settings = Settings(
        database_url=info.database,
        projector_database_url=info.projector_database,
        read_database_url=info.read_database,
    )
    async with open_books(settings, "tidemark-cli") as books:
        yield Session(info, settings, books, await connect_temporal(info.temporal, lazy=True))


def run(data: Path, as_json: bool, work: Callable[[Session], Awaitable[T]]) -> T:
    """Runs a command's work over a session; whatever goes wrong becomes one line and the right exit code."""

    async def inside() -> T:
        async with open_session(data) as session:
            return await work(session)

    return guarded(as_json, lambda: asyncio.run(inside()))


def guarded(as_json: bool, work: Callable[[], T]) -> T:
    """`work()`, its errors in words."""
    try:
        return work()
    except ValidationError as error:
        message, field = invalid(error)
        raise fail("invalid_input", message, USAGE, as_json, field) from None
    except DomainError as refusal:
        raise fail(refusal.code, refusal.message, REFUSED, as_json, refusal.field) from None
    except (ProjectionError, QueryError) as refusal:
        code = UNREACHABLE if isinstance(refusal, ReadUnavailable) else REFUSED
        raise fail(refusal.code, str(refusal), code, as_json) from None
    except (Unreachable, StackError, NoAnswer, RatesUnavailable) as fault:
        raise fail("unreachable", str(fault), UNREACHABLE, as_json) from None
    except (psycopg.Error, psycopg_pool.PoolTimeout, EventStoreError) as fault:
        raise fail("postgres_unreachable", first_line(fault), UNREACHABLE, as_json) from None
    except (RPCError, TimeoutError) as fault:
        raise fail("temporal_unreachable", first_line(fault), UNREACHABLE, as_json) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def first_line(fault: Exception) -> str:
    """What an exception says, without its tail."""
    return (str(fault).strip() or type(fault).__name__).splitlines()[0]


def usage(message: str, as_json: bool) -> typer.Exit:
    """The command itself was put wrongly."""
    return fail("usage", message, USAGE, as_json)
