"""The outer wall: every request passes here first and last.

correlation id, trace ─► time limit ─► size ─► room ─► key ─► its limits ─► route ─► log line, metrics
"""

from __future__ import annotations

import asyncio
import random
import re
import secrets
import time
from collections.abc import Mapping, MutableMapping
from contextlib import AsyncExitStack
from typing import Any, Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import Principal
from api.batch_body import NDJSON
from api.problems import Problem, broken, problem_of, unavailable
from api.services import Services
from api.trace import continued, trace_id_of

GUARDED: Final = "/v1/"
BATCHES: Final = "/v1/transfer-batches"
RECONCILIATIONS: Final = "/v1/reconciliations"
MEDIA_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    BATCHES: ("application/json", NDJSON),
    RECONCILIATIONS: ("application/xml", "text/xml", "text/csv"),
}
"""Of the POSTs that take bodies of another size and kind; the others take JSON."""
REFUSED_AFTER_S: Final = 1.0
"""At most, where there is no room. It costs a connection and nothing else."""
CORRELATION: Final = "X-Correlation-Id"
_CORRELATION: Final = re.compile(r"[A-Za-z0-9._:-]{1,100}", re.ASCII)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_SAFE_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}

log = structlog.get_logger()


class Edge:
    """An ASGI application around another. `services` are there from the start of the process on."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, whatever becomes of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Exchange(self._app, self._services, scope, receive, send).run()


class _Exchange:
    """One request and its answer."""

    def __init__(self, app: ASGIApp, services: Services, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._services = services
        self._scope = scope
        self._receive_raw = receive
        self._send_raw = send
        self._headers = Headers(scope=scope)
        self._method: str = scope["method"]
        self._status = 0
        self._received_bytes = 0
        self._late = False
        asked = self._headers.get(CORRELATION, "")
        self.correlation_id = asked if _CORRELATION.fullmatch(asked) else secrets.token_hex(12)
        self.trace = continued(self._headers.get("traceparent"))
        self._principal: Principal | None = None
        self._extra: MutableMapping[str, Any] = scope.setdefault("state", {})
        self._extra.update(correlation_id=self.correlation_id, trace=self.trace)

    async def run(self) -> None:
        started = time.perf_counter()
        metrics = self._services.metrics
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(
            correlation_id=self.correlation_id, trace_id=trace_id_of(self.trace)
        )
        metrics.in_flight.inc()
        try:
            await self._answered()
        except asyncio.CancelledError:
            self._status = self._status or 499
            raise
        finally:
            metrics.in_flight.dec()
            self._tell(time.perf_counter() - started)

    async def _answered(self) -> None:
        """In time, whatever hangs: work that does not even end when it is cancelled is left behind."""
        work = asyncio.create_task(self._work(), name="request")
        try:
            await asyncio.wait({work}, timeout=self._services.api.request_timeout_s)
        except asyncio.CancelledError:
            work.cancel()
            raise
        if work.done():
            await work
            return
        self._late = True
        work.cancel()
        work.add_done_callback(lambda left: left.cancelled() or left.exception())
        if not self._status:
            await self._refuse(unavailable("timeout", "no answer in time; what was asked may still happen"))

    async def _work(self) -> None:
        try:
            async with AsyncExitStack() as held:
                await self._admit(held)
                await self._app(self._scope, self._receive, self._send)
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                log.exception("request failed")
                problem = broken()
            if self._status:
                log.warning("the answer was cut short", why=problem.code)
                raise
            await self._refuse(problem)

    async def _admit(self, held: AsyncExitStack) -> None:
        """Raises Problem where the request goes no further."""
        self._must_be_small()
        if not self._scope["path"].startswith(GUARDED):
            return
        # Held until the work ends, also by work that is left behind: what hangs must not add up.
        try:
            held.enter_context(self._services.limits.room(batch=self._upload is not None))
        except Problem:
            # Clients that ask again at once would leave no time for the requests that have a place.
            await asyncio.sleep(REFUSED_AFTER_S * random.uniform(0.5, 1.0))  # noqa: S311 – not a secret
            raise
        self._principal = self._extra["principal"] = await self._who()
        held.enter_context(self._services.limits.one(self._principal.key_id))
        self._must_be_readable()

    async def _who(self) -> Principal:
        scheme, _, key = self._headers.get("authorization", "").partition(" ")
        principal = None
        if scheme.lower() == "bearer" and key.isascii():
            principal = await self._services.keyring.check(key.strip())
        if principal is None:
            raise Problem(
                401,
                "unauthorized",
                "a good API key is needed: Authorization: Bearer tmk_…",
                headers={"WWW-Authenticate": 'Bearer realm="tidemark"'},
            )
        await self._services.keyring.note_use(principal)
        return principal

    @property
    def _most_bytes(self) -> int:
        api = self._services.api
        sizes = {BATCHES: api.max_batch_bytes, RECONCILIATIONS: api.max_statement_bytes}
        return sizes.get(self._upload or "", api.max_body_bytes)

    @property
    def _upload(self) -> str | None:
        """The path, where it takes a body that may be large. Other methods than POST are the routes' to refuse."""
        path: str = self._scope["path"]
        return path if self._method in _WITH_BODY and path in MEDIA_TYPES else None

    def _must_be_small(self) -> None:
        most = self._most_bytes
        told = self._headers.get("content-length", "")
        if told.isdigit() and int(told) > most:
            raise _too_large(most)

    def _must_be_readable(self) -> None:
        has_body = self._headers.get("content-length", "0") != "0" or "transfer-encoding" in self._headers
        if self._method not in _WITH_BODY or not has_body:
            return
        media_type = self._headers.get("content-type", "").partition(";")[0].strip().lower()
        wanted = MEDIA_TYPES.get(self._upload or "", ("application/json",))
        if media_type not in wanted:
            raise Problem(415, "unsupported_media_type", f"send {' or '.join(wanted)}")

    async def _receive(self) -> Message:
        message = await self._receive_raw()
        self._received_bytes += len(message.get("body", b""))
        most = self._most_bytes
        if self._received_bytes > most:
            raise _too_large(most)
        return message

    async def _send(self, message: Message) -> None:
        if not self._late:
            await self._send_on(message)

    async def _send_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[CORRELATION] = self.correlation_id
            headers["traceparent"] = self.trace
            for name, value in _SAFE_HEADERS.items():
                headers.setdefault(name, value)
        await self._send_raw(message)

    async def _refuse(self, problem: Problem) -> None:
        response: Response = problem.response(self._scope["path"], self.correlation_id)
        await response(self._scope, self._receive_raw, self._send_on)

    def _tell(self, seconds: float) -> None:
        route = getattr(self._scope.get("route"), "path", "unmatched")
        method = self._method if self._method in _METHODS else "other"
        metrics = self._services.metrics
        metrics.requests.labels(method, route, str(self._status)).inc()
        metrics.seconds.labels(method, route).observe(seconds)
        log.info(
            "request",
            method=method,
            route=route,
            path=self._scope["path"][:300],
            status=self._status,
            duration_ms=round(seconds * 1000, 1),
            key_id=self._principal.key_id if self._principal else None,
        )


def _too_large(most: int) -> Problem:
    return Problem(413, "body_too_large", f"the body may have {most} bytes", headers={"Connection": "close"})
