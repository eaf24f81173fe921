"""Who asks: API keys, known by a hash only, and remembered for a moment to spare Postgres."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from eventstore.attempts import retried
from eventstore.connect import Pool

READ, WRITE, OPERATOR = "read", "write", "operator"
SCOPES: Final = (READ, WRITE, OPERATOR)
_IMPLIED: Final = {READ: {READ}, WRITE: {READ, WRITE}, OPERATOR: {READ, WRITE, OPERATOR}}

KEY: Final = re.compile(r"tmk_([a-z0-9]{1,32})_[A-Za-z0-9_-]{32,128}", re.ASCII)
_NOBODY: Final = bytes(32)
_CACHED_MOST: Final = 10_000
_NOTE_USE_EVERY_S: Final = 60.0

FIND: Final = """
SELECT key_id, hash, scopes, user_id FROM api_keys WHERE key_id = %(key_id)s AND revoked_at IS NULL
"""

NOTE_USE: Final = "UPDATE api_keys SET last_used_at = clock_timestamp() WHERE key_id = %(key_id)s"


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a good key. `user_id`: it may only see and move what is this user's; None: everybody's."""

    key_id: str
    scopes: frozenset[str]
    user_id: str | None

    @property
    def actor(self) -> str:
        """How events name it."""
        return f"key:{self.key_id}"

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    def sees(self, *user_ids: str | None) -> bool:
        """Whether something of these users is this key's to see."""
        return self.user_id is None or self.user_id in user_ids


def hash_of(key: str) -> bytes:
    """What is stored of a key. Its 256 random bits need no slow hash."""
    return hashlib.sha256(key.encode()).digest()


def key_id_of(key: str) -> str | None:
    """The public part of a key; None where it cannot be one."""
    match = KEY.fullmatch(key)
    return match.group(1) if match else None


class Keyring:
    """Checks keys against table api_keys. A change of a key is noticed within `cache_s` seconds."""

    def __init__(self, pool: Pool, cache_s: float) -> None:
        self._pool = pool
        self._cache_s = cache_s
        self._cached: OrderedDict[str, tuple[float, bytes, Principal | None]] = OrderedDict()
        self._noted: OrderedDict[str, float] = OrderedDict()

    async def check(self, key: str) -> Principal | None:
        """Whose key it is; None where it is nobody's. Raises StoreUnavailable."""
        key_id = key_id_of(key)
        if key_id is None:
            return None
        known = self._cached.get(key_id)
        if known is None or known[0] < time.monotonic():
            known = await self._find(key_id)
        _, expected, principal = known
        good = hmac.compare_digest(expected, hash_of(key))
        return principal if good else None

    async def note_use(self, principal: Principal) -> None:
        """Once a minute and key."""
        now = time.monotonic()
        if now - self._noted.get(principal.key_id, -_NOTE_USE_EVERY_S) >= _NOTE_USE_EVERY_S:
            self._noted[principal.key_id] = now
            if len(self._noted) > _CACHED_MOST:
                self._noted.popitem(last=False)

            async def note() -> None:
                async with self._pool.connection() as connection:
                    await connection.execute(NOTE_USE, {"key_id": principal.key_id})

            await retried(self._pool, note)

    async def _find(self, key_id: str) -> tuple[float, bytes, Principal | None]:
        async def fetch() -> tuple[Any, ...] | None:
            async with self._pool.connection() as connection:
                return await (await connection.execute(FIND, {"key_id": key_id})).fetchone()

        row = await retried(self._pool, fetch)
        until = time.monotonic() + self._cache_s
        if row is None:
            found: tuple[float, bytes, Principal | None] = (until, _NOBODY, None)
        else:
            scopes = frozenset().union(*(_IMPLIED[scope] for scope in row[2]))
            found = (until, bytes(row[1]), Principal(row[0], scopes, row[3]))
        self._cached[key_id] = found
        self._cached.move_to_end(key_id)
        if len(self._cached) > _CACHED_MOST:
            self._cached.popitem(last=False)
        return found
