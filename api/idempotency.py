"""The first answer to a request is its only answer: a repeat of it, now or in a year, gets it again.

    claim (durable) ──► do it ──► keep the answer
       │ known already: another content → 422; answered → that answer; under way elsewhere → wait a moment

A crash between doing it and keeping the answer is harmless: every id that the work uses is derived from the API
key and the Idempotency-Key, so doing it again is a repeat to everything below. For the same reason waiting for
another process's work is bounded and short. Faults (5xx, 429) are not kept: they are no answers.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from psycopg.types.json import Jsonb
from starlette.responses import Response

from api.problems import Problem
from eventstore.attempts import retried
from eventstore.connect import Pool
from eventstore.stream_cache import StreamLocks

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
MAX_CHARS: Final = 255
ELSEWHERE_S: Final = 1.0
"""How long to wait for another process that seems to work on the same request."""

_KEPT_HEADERS: Final = ("content-type", "location", "etag", "event-position")
_NOT_KEPT: Final = frozenset({401, 403, 408, 412, 413, 415, 429})
_POLL_S: Final = 0.02

CLAIM: Final = """
INSERT INTO idempotency (key_id, idempotency_key, fingerprint)
VALUES (%(key_id)s, %(key)s, %(fingerprint)s) ON CONFLICT DO NOTHING
"""
FIND: Final = """
SELECT fingerprint, status, headers, body FROM idempotency WHERE key_id = %(key_id)s AND idempotency_key = %(key)s
"""
KEEP: Final = """
UPDATE idempotency SET status = %(status)s, headers = %(headers)s, body = %(body)s
 WHERE key_id = %(key_id)s AND idempotency_key = %(key)s AND status IS NULL
"""
FORGET: Final = """
DELETE FROM idempotency WHERE key_id = %(key_id)s AND idempotency_key = %(key)s AND status IS NULL
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is to be answered once. `only_success`: refusals are not kept (its key is a business id)."""

    key_id: str
    key: str
    fingerprint: bytes
    only_success: bool

    def keeps(self, status: int) -> bool:
        if self.only_success:
            return status < 300
        return status < 500 and status not in _NOT_KEPT


def fingerprint_of(method: str, path: str, query: str, body: bytes) -> bytes:
    """What makes two requests the same. Spacing and the order of names in JSON do not matter."""
    with contextlib.suppress(orjson.JSONDecodeError):
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), query.encode(), body))).digest()


def derived_id(key_id: str, idempotency_key: str) -> str:
    """26 letters and digits that follow from the request's key: the same at every repeat, nobody else's."""
    digest = hashlib.sha256(f"{key_id}\0{idempotency_key}".encode()).digest()
    return base64.b32encode(digest)[:26].decode().lower()


class Answers:
    """Table idempotency. Within a process, identical requests wait for the first of them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._locks = StreamLocks()

    async def once(self, asked: Asked, work: Callable[[], Awaitable[Response]]) -> Response:
        """The first answer, or `work`'s. Raises Problem 422 for another content under the same key."""
        async with self._locks.hold([f"{asked.key_id}\0{asked.key}"]):
            known = await self._claim(asked)
            if known is not None:
                return known
            response = await work()
            if asked.keeps(response.status_code):
                return await self._keep(asked, response)
            if response.status_code < 500:
                await self._execute(FORGET, self._names(asked))
            return response

    async def _claim(self, asked: Asked) -> Response | None:
        """The answer there is; None: do it."""
        claim = {**self._names(asked), "fingerprint": asked.fingerprint}
        deadline = asyncio.get_running_loop().time() + ELSEWHERE_S
        while True:
            if await self._insert_claim(claim):
                return None
            row = await self._find(asked)
            if row is None:
                continue  # forgotten this moment
            if bytes(row[0]) != asked.fingerprint:
                raise Problem(
                    422,
                    "idempotency_conflict",
                    "this id was used before, with another content"
                    if asked.only_success
                    else f"this {HEADER} was used before, with another request",
                    field=None if asked.only_success else HEADER,
                )
            if row[1] is not None:
                return _replay(row)
            if asyncio.get_running_loop().time() > deadline:
                return None
            await asyncio.sleep(_POLL_S)

    async def _keep(self, asked: Asked, response: Response) -> Response:
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        answer = {
            **self._names(asked),
            "status": response.status_code,
            "headers": Jsonb(headers),
            "body": bytes(response.body),
        }
        if await self._execute(KEEP, answer):
            return response
        row = await self._find(asked)
        if row is None or row[1] is None:
            return response
        return _replay(row)  # another process was faster: its answer is the first

    async def _find(self, asked: Asked) -> tuple[Any, ...] | None:
        async def fetch() -> tuple[Any, ...] | None:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(FIND, self._names(asked))
                return await cursor.fetchone()

        return await retried(self._pool, fetch)

    async def _execute(self, statement: str, parameters: dict[str, Any]) -> bool:
        """Whether it changed a row."""

        async def run() -> bool:
            async with self._pool.connection() as connection:
                return (await connection.execute(statement, parameters)).rowcount > 0

        return await retried(self._pool, run)

    async def _insert_claim(self, claim: dict[str, Any]) -> bool:
        """Without a wait for the disk: keeping the answer waits, and takes this along.

        A claim that is lost together with an answer that was never given is missed by nobody.
        """

        async def run() -> bool:
            async with self._pool.connection() as connection, connection.transaction():
                await connection.execute("SET LOCAL synchronous_commit = off")
                return (await connection.execute(CLAIM, claim)).rowcount > 0

        return await retried(self._pool, run)

    @staticmethod
    def _names(asked: Asked) -> dict[str, Any]:
        return {"key_id": asked.key_id, "key": asked.key}


def _replay(row: tuple[Any, ...]) -> Response:
    return Response(bytes(row[3]), row[1], {**row[2], REPLAYED: "true"})
