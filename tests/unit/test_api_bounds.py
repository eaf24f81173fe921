"""What the API takes on at once, and docs/bounds.md: every setting in it is there, with the default it says."""

from __future__ import annotations

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from api.connections import REFUSAL, BoundedConnection
from api.limits import BATCHES_AT_ONCE, Limits
from api.problems import Problem
from settings import Settings

BOUNDS = (Path(__file__).parents[2] / "docs" / "bounds.md").read_text()


def refused(limits: Limits, batch: bool = False) -> str | None:
    """The code that one more request is refused with."""
    try:
        with limits.room(batch):
            return None
    except Problem as problem:
        refusal = problem
    assert refusal.status_code == 503
    assert refusal.headers is not None
    assert int(refusal.headers["Retry-After"]) >= 1
    return refusal.code


def test_one_request_too_many_is_refused_until_another_is_done() -> None:
    limits = Limits(rate_per_s=0, burst=1, concurrent_per_key=0, concurrent=2)
    with limits.room(batch=False):
        with limits.room(batch=False):
            assert refused(limits) == "overloaded"
        assert refused(limits) is None
    with pytest.raises(ValueError, match="failed"), limits.room(batch=False):
        raise ValueError("failed")
    with limits.room(batch=False):
        assert refused(limits) is None, "a request that fails gives its place back, too"


def test_batches_have_fewer_places_and_leave_the_others_theirs() -> None:
    limits = Limits(rate_per_s=0, burst=1, concurrent_per_key=0, concurrent=BATCHES_AT_ONCE + 1)
    with contextlib.ExitStack() as held:
        for _ in range(BATCHES_AT_ONCE):
            held.enter_context(limits.room(batch=True))
        assert refused(limits, batch=True) == "overloaded"
        assert refused(limits) is None
    assert refused(limits, batch=True) is None


async def test_one_connection_too_many_is_told_so_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """On uvicorn's own server, without an application: nothing is ever asked."""
    import uvicorn

    monkeypatch.setattr(BoundedConnection, "most", 2)
    config = uvicorn.Config(lambda scope: None, http=BoundedConnection, lifespan="off", log_config=None)
    config.load()
    server_state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: BoundedConnection(config, server_state, {}), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    first = await asyncio.open_connection("127.0.0.1", port)
    second = await asyncio.open_connection("127.0.0.1", port)
    third = await asyncio.open_connection("127.0.0.1", port)
    assert await asyncio.wait_for(third[0].read(), 5) == REFUSAL
    second[1].close()
    for _ in range(100):
        if len(server_state.connections) == 1:
            break
        await asyncio.sleep(0.01)
    fourth = await asyncio.open_connection("127.0.0.1", port)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(fourth[0].read(1), 0.2)
    for _, writer in (first, third, fourth):
        writer.close()
    server.close()


def _defaults(model: type[BaseModel], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            found |= _defaults(type(field.default), f"{prefix}{name.upper()}__")
        else:
            found[f"{prefix}{name.upper()}"] = field.default
    return found


def test_every_setting_in_the_table_of_bounds_has_the_default_it_says() -> None:
    defaults = _defaults(Settings, "TIDEMARK_")
    named = re.findall(r"`(TIDEMARK_\w+)` \| ([\d.]+)", BOUNDS)
    assert len(named) >= 10
    for name, said in named:
        assert float(said) == float(defaults[name]), name
    assert set(re.findall(r"`(TIDEMARK_\w+)`", BOUNDS)) <= set(defaults)


def test_every_constant_in_the_table_of_bounds_has_the_value_it_says() -> None:
    """`module.NAME` | value: found in the source, so that nothing needs to be imported for it."""
    named = re.findall(r"`([\w/]+\.py):([A-Z_]+)` \| ([\d.]+)", BOUNDS)
    assert len(named) >= 15
    for path, name, said in named:
        source = (Path(__file__).parents[2] / path).read_text()
        found = re.search(rf"^{name}(?:: Final)? = ([\d_.]+)", source, re.MULTILINE)
        assert found, f"{path} has no {name}"
        assert float(found.group(1)) == float(said), (path, name)
