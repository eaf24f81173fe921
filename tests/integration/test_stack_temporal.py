"""The local Temporal server: keeps workflows over a kill, knows the search attributes, listens locally."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import psutil
import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

import stack
from stack.temporal import SEARCH_ATTRIBUTES, TemporalServer, serves
from stack.temporal_binary import find_or_get
from stack.temporal_external import prepare_external
from tests.fixtures.stack import TemporalAddress


async def attributes_of(address: str) -> set[str]:
    client = await Client.connect(address)
    known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
    return set(known.custom_attributes)


async def test_search_attributes_and_ui_are_there(temporal_server: TemporalAddress) -> None:
    assert set(SEARCH_ATTRIBUTES) <= await attributes_of(temporal_server.address)
    assert temporal_server.ui.startswith("http://127.0.0.1:")


def test_a_server_of_the_users_is_told_the_search_attributes(tmp_path: Path) -> None:
    bare = TemporalServer(find_or_get().path, tmp_path, os.environ, search_attributes={})
    bare.start()
    try:
        said: list[str] = []
        env = {**os.environ, "TEMPORAL_ADDRESS": bare.address}
        for _ in range(2):
            prepare_external(env, SEARCH_ATTRIBUTES, lambda _part, message: said.append(message))
        assert said == []
        assert set(SEARCH_ATTRIBUTES) <= asyncio.run(attributes_of(bare.address))
    finally:
        bare.stop(hurry=True)


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


def test_the_stacks_own_server_and_its_clients_ignore_the_users_other_servers(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if key != "TEMPORAL_ADDRESS"}
    env |= {"TEMPORAL_API_KEY": "for-another-server", "TEMPORAL_TLS": "true", "DATABASE_URL": ""}
    show = [sys.executable, "-c", SHOW_CLIENT_SETTINGS]
    spec = stack.ProcessSpec("worker", show)
    with stack.up(stack.StackConfig(tmp_path, [spec], env=env, durable=False)) as running:
        seen = json.loads((tmp_path / "run" / "worker-0.ready").read_text())
        assert seen == {"target_host": running.info.temporal}
        assert serves(running.info.temporal)


SHOW_CLIENT_SETTINGS = """
import json, os, time
from temporalio.envconfig import ClientConfig
settings = json.dumps(ClientConfig.load_client_connect_config())
with open(os.environ["TIDEMARK_READY_FILE"] + ".new", "w") as file:
    file.write(settings)
os.rename(file.name, os.environ["TIDEMARK_READY_FILE"])
time.sleep(60)
"""
