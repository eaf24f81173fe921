"""The local Temporal server: keeps workflows over a kill, knows the search attributes, listens locally."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil
import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from stack.temporal import SEARCH_ATTRIBUTES, TemporalServer, serves
from stack.temporal_binary import find_or_get
from tests.fixtures.stack import TemporalAddress


async def test_search_attributes_and_ui_are_there(temporal_server: TemporalAddress) -> None:
    client = await Client.connect(temporal_server.address)
    known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
    assert set(SEARCH_ATTRIBUTES) <= set(known.custom_attributes)
    assert temporal_server.ui.startswith("http://127.0.0.1:")


@pytest.fixture
def server(tmp_path: Path) -> TemporalServer:
    return TemporalServer(find_or_get().path, tmp_path, {**os.environ, "TEMPORAL_ADDRESS": "nowhere:1"})


def test_a_started_workflow_survives_a_sigkill_of_the_server(server: TemporalServer) -> None:
    async def start() -> None:
        client = await Client.connect(server.address)
        await client.start_workflow("Nothing", id="kept", task_queue="nobody-listens")

    async def status() -> object:
        client = await Client.connect(server.address)
        return (await client.get_workflow_handle("kept").describe()).status

    server.start()
    try:
        address = server.address
        asyncio.run(start())
        assert server.child is not None
        listening = {
            c.laddr.ip for c in psutil.Process(server.child.pid).net_connections() if c.status == "LISTEN"
        }
        assert listening == {"127.0.0.1"}
        server.child.kill()
        assert not serves(address, timeout_s=0.5)
        server.start()
        assert server.address == address
        assert str(asyncio.run(status())) == "1"
    finally:
        server.stop(hurry=True)
