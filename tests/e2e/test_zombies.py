"""Workers and API processes that are stopped (SIGSTOP) in the middle of a step, replaced, and go on (SIGCONT)."""

from __future__ import annotations

import asyncio
import signal
import uuid
from pathlib import Path

import httpx
import psutil
import pytest

from activities.steps import TransferOrder
from tests.e2e.system import System, eur, system
from tests.e2e.test_api_limits import own_api
from tests.fixtures.running import RunningStack
from tests.fixtures.stack import TemporalAddress


async def until_stopped(pid: int) -> None:
    async with asyncio.timeout(30):
        while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0.02)


def order(run: str, number: int) -> TransferOrder:
    return TransferOrder(
        transfer_id=f"{run}-{number}", from_account=f"{run}-a", to_account=f"{run}-b", amount=eur("10.00")
    )


async def transferred(under_test: System, wanted: TransferOrder) -> None:
    step = await under_test.transfers.transfer(wanted)
    assert step.status == "completed"


@pytest.mark.parametrize("where", ["transfer.debit:before_commit", "transfer.credit:after_commit"])
async def test_a_stopped_worker_is_replaced_and_changes_nothing_when_it_wakes_up(
    database_url: str, temporal_server: TemporalAddress, tmp_path: Path, where: str
) -> None:
    run = f"zombie-{uuid.uuid4().hex[:6]}"
    once = {"TIDEMARK_FAILPOINT": f"{where}=stop", "TIDEMARK_FAILPOINT_ONCE": str(tmp_path / "once")}
    async with (
        system(database_url, temporal_server.address) as under_test,
        under_test.worker(**once) as first,
        under_test.worker() as second,
    ):
        await under_test.open_account(f"{run}-a", "100.00")
        await under_test.open_account(f"{run}-b")
        await first.start()
        going = asyncio.create_task(transferred(under_test, order(run, 1)))
        await until_stopped(first.pid)
        await second.start()
        await going
        stream = f"transfer-{run}-1"
        before = await under_test.books.store.load_many(dict.fromkeys((stream, f"account-{run}-a"), 0))
        assert await under_test.balance(f"{run}-a") == ("90.00", "0.00")
        first.send(signal.SIGCONT)
        # It has come through once it carries another transfer, alone.
        await second.stop()
        await transferred(under_test, order(run, 2))
        assert (await under_test.books.store.load(stream)) == before[stream]
        assert await under_test.balance(f"{run}-a") == ("80.00", "0.00")
        assert await under_test.balance(f"{run}-b") == ("20.00", "0.00")
        assert not (await under_test.audit()).findings


async def test_a_stopped_api_process_answers_late_what_another_has_answered_meanwhile(
    running_stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had claimed the Idempotency-Key and was about to deposit; the repeat did it elsewhere."""
    with monkeypatch.context() as armed:
        armed.setenv("TIDEMARK_FAILPOINT", "account.deposit:before_commit=stop")
        armed.setenv("TIDEMARK_FAILPOINT_ONCE", str(tmp_path / "once"))
        api = own_api(running_stack, tmp_path)
        slow, process = await api.__aenter__()
    try:
        headers = {"Authorization": f"Bearer {running_stack.info.api_key}", "Idempotency-Key": uuid.uuid4().hex}
        body = {"amount": "5.00", "currency": "EUR"}
        here, elsewhere = running_stack.info.api, slow.info.api
        account, path = f"zombie-{slow.run}", f"/v1/accounts/zombie-{slow.run}"
        async with httpx.AsyncClient(headers=headers, timeout=60) as http:
            opening = {"account_id": account, "user_id": "u", "currency": "EUR"}
            fresh = {"Idempotency-Key": uuid.uuid4().hex}
            assert (await http.post(f"{here}/v1/accounts", json=opening, headers=fresh)).status_code == 201
            late = asyncio.create_task(http.post(f"{elsewhere}{path}/deposits", json=body))
            await until_stopped(process.pid)
            done = await http.post(f"{here}{path}/deposits", json=body)
            assert done.status_code == 201
            process.send_signal(signal.SIGCONT)
            told = await late
            assert (told.status_code, told.json()) == (201, done.json())
            again = await http.post(f"{elsewhere}{path}/deposits", json=body)
            assert (again.json(), again.headers["Idempotency-Replayed"]) == (done.json(), "true")
            assert (await http.get(f"{here}{path}")).json()["balance"] == "5.00"
    finally:
        process.send_signal(signal.SIGCONT)
        await api.__aexit__(None, None, None)
