"""Another bank that hangs: it is left alone, nothing piles up in front of it, and `not_asked` is the truth."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from activities.breaker import MAX_FAILURES, MAX_UNDER_WAY
from activities.rail import RailActivities, RailCredit, breakers, rail_client
from commands.accounts import AccountCommands
from domain.money import Money
from domain.streams import transfer_stream
from domain.transfer import Transfer
from settings import Settings
from tests.e2e.api import eventually, problem
from tests.e2e.rail import Rail, rail_gateway
from tests.fixtures.database import Database
from tests.fixtures.in_process import api_in_process, two_accounts
from tests.fixtures.stack import TemporalAddress

TRANSFERS = 8
RAIL_TIMEOUT_S = 0.5


@pytest.fixture
async def rail() -> AsyncIterator[Rail]:
    async with rail_gateway() as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.breaker.OPEN_S", 1.0)


def credit(key: str) -> RailCredit:
    return RailCredit(rail="testbank", key=key, account=f"acc-{key}", amount=Money(100, "EUR"))


async def test_a_rail_that_hangs_is_left_alone_until_it_answers(rail: Rail) -> None:
    settings = Settings(rails={"testbank": rail.url}, rail_timeout_s=RAIL_TIMEOUT_S)
    guards = breakers(settings)
    async with rail_client() as http:
        bank = RailActivities(http, settings, guards)
        assert (await bank.submit_credit(credit("before"))).outcome == "accepted"
        with rail.hanging():
            many = [bank.submit_credit(credit(f"many-{number}")) for number in range(MAX_UNDER_WAY + 8)]
            counted = Counter(said.outcome for said in await asyncio.gather(*many))
            assert counted == {"unknown": MAX_UNDER_WAY, "not_asked": 8}, "a timeout is an unknown outcome"
            started = time.monotonic()
            said = await bank.submit_credit(credit("kept-back"))
            assert (said.outcome, guards["testbank"].state) == ("not_asked", "open")
            assert time.monotonic() - started < RAIL_TIMEOUT_S / 2

            await asyncio.sleep(1.1)  # it still hangs: the one call that tries opens the breaker again
            tries = [bank.inquire_credit(credit("many-0")) for _ in range(5)]
            counted = Counter(said.outcome for said in await asyncio.gather(*tries))
            assert counted == {"unknown": 1, "not_asked": 4}
            assert guards["testbank"].state == "open"
        await asyncio.sleep(1.1)
        assert (await bank.inquire_credit(credit("many-0"))).outcome == "accepted", "it had arrived all the same"
        assert str(guards["testbank"].state) == "closed"
        assert (await bank.inquire_credit(credit("kept-back"))).outcome == "not_received"
        assert (await bank.submit_credit(credit("kept-back"))).outcome == "accepted"


async def test_transfers_wait_for_a_rail_that_hangs_and_complete_once_it_answers(
    database: Database, temporal_server: TemporalAddress, rail: Rail
) -> None:
    run = uuid.uuid4().hex[:8]
    more = {"rails": {"testbank": rail.url}, "rail_timeout_s": RAIL_TIMEOUT_S}
    async with api_in_process(database, temporal_server.address, None, **more) as (http, services):
        await two_accounts(http)
        accounts = AccountCommands(services.books.ledger, "test")
        for number in range(TRANSFERS):
            await accounts.open(f"there-{number}", "u", "EUR", rail="testbank")

        async def start(number: int) -> None:
            body = {"transfer_id": f"{run}-{number}", "from_account": "a", "to_account": f"there-{number}"}
            said = await http.post("/v1/transfers", json={**body, "amount": "1.00", "currency": "EUR"})
            assert said.status_code == 202

        async def statuses() -> Counter[str]:
            found = [await services.books.ledger.state(transfer_stream(f"{run}-{n}")) for n in range(TRANSFERS)]
            return Counter(state.status.value for state in found if isinstance(state, Transfer))

        def all_are(status: str) -> Callable[[], Awaitable[bool]]:
            async def reached() -> bool:
                return await statuses() == {status: TRANSFERS}

            return reached

        async def shows(state: str) -> bool:
            told = (await http.get("/readyz")).json()["rails"]["testbank"]
            exported = f'tidemark_rail_open{{rail="testbank"}} {0.0 if state == "closed" else 1.0}'
            return bool(told == state and exported in (await http.get("/metrics")).text)

        assert await shows("closed")
        with rail.hanging():
            await asyncio.gather(*(start(number) for number in range(MAX_FAILURES)))
            await eventually(lambda: shows("open"))
            await asyncio.gather(*(start(number) for number in range(MAX_FAILURES, TRANSFERS)))
            await eventually(all_are("in_transit"))
            for late in (
                0,
                TRANSFERS - 1,
            ):  # asked with an unknown outcome, and not asked at all: past the pivot both
                said = await http.post(f"/v1/transfers/{run}-{late}/cancel", json={})
                problem(said, 409, "wrong_transfer_status")
            assert await statuses() == {"in_transit": TRANSFERS}
        await eventually(all_are("completed"))
        await eventually(lambda: shows("closed"))
        booked = await asyncio.to_thread(rail.booked)
        assert Counter(booked) == {f"there-{number}": 1 for number in range(TRANSFERS)}
