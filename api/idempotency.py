"""The first answer to a request is its only answer: a repeat of it, now or in a year, gets it again.

    claim ──► do it (durable, and the claim with it) ──► keep the answer
       │ known already: another content → 422; answered → that answer; under way elsewhere → wait a moment

A crash between doing it and keeping the answer is harmless: every id that the work uses is derived from the API
key and the Idempotency-Key, so doing it again is a repeat to everything below. For the same reason waiting for
another process's work is bounded and short. Faults (5xx, 429) are not kept: they are no answers.

An answer that follows from the log alone goes out before it is kept: nobody waits for what could be made again.
Made again, it says that it is a repeat: whoever got the first one cannot tell the two apart.
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
import structlog
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
KEEPING_MOST: Final = 256
"""Answers kept after they went out. Where that many wait for Postgres, whoever comes waits for his own."""

# Without a wait for the disk: the work's own commit comes after it in the write-ahead log, and takes it along.
CLAIM: Final = """
INSERT INTO idempotency (key_id, idempotency_key, fingerprint)
SELECT %(key_id)s, %(key)s, %(fingerprint)s FROM set_config('synchronous_commit', 'off', true)
    ON CONFLICT DO NOTHING
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

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is to be answered once. `only_success`: refusals are not kept (its key is a business id).
    `from_log`: a success whose position is known can be told again from the log, exactly.
    """

    key_id: str
    key: str
    fingerprint: bytes
    only_success: bool
    from_log: bool = False

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
        self._keeping: set[asyncio.Task[Response]] = set()

    async def close(self) -> None:
        """Waits for answers that are being kept."""
        while self._keeping:
            await asyncio.wait(set(self._keeping))

    async def once(self, asked: Asked, work: Callable[[], Awaitable[Response]]) -> Response:
        """The first answer, or `work`'s. Raises Problem 422 for another content under the same key."""
        async with self._locks.hold([f"{asked.key_id}\0{asked.key}"]):
            asked_before, known = await self._claim(asked)
            if known is not None:
                return known
            response = await work()
            from_log = asked.from_log and response.status_code < 300 and "event-position" in response.headers
            if from_log and asked_before:  # it may have gone out, and the process died before it was kept
                response.headers[REPLAYED] = "true"
            if from_log and len(self._keeping) < KEEPING_MOST:
                self._keep_meanwhile(asked, response)
                return response
            if asked.keeps(response.status_code):
                return await self._keep(asked, response)
            if response.status_code < 500:
                await self._execute(FORGET, self._names(asked))
            return response

    async def _claim(self, asked: Asked) -> tuple[bool, Response | None]:
        """Whether this was asked before, and the answer that is kept; where there is none: do it."""
        claim = {**self._names(asked), "fingerprint": asked.fingerprint}
        deadline = asyncio.get_running_loop().time() + ELSEWHERE_S
        while True:
            if await self._execute(CLAIM, claim):
                return False, None
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
                return True, _replay(row)
            if asyncio.get_running_loop().time() > deadline:
                return True, None
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

    def _keep_meanwhile(self, asked: Asked, response: Response) -> None:
        task = asyncio.create_task(self._keep(asked, response), name="keep an answer")
        self._keeping.add(task)
        task.add_done_callback(self._kept)

    def _kept(self, task: asyncio.Task[Response]) -> None:
        self._keeping.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("an answer was not kept; a repeat makes it again", why=str(task.exception())[:300])

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

    @staticmethod
    def _names(asked: Asked) -> dict[str, Any]:
        return {"key_id": asked.key_id, "key": asked.key}


def _replay(row: tuple[Any, ...]) -> Response:
    return Response(bytes(row[3]), row[1], {**row[2], REPLAYED: "true"})
