"""Making, listing, rotating and revoking API keys, by whoever owns the database. A key is shown once, here."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

import psycopg
from psycopg.rows import class_row

from api.auth import SCOPES, hash_of, key_id_of
from domain.errors import InvalidInput, NotFound
from eventstore.connect import CONNECT_TIMEOUT_S

_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_ID_CHARS: Final = 10
_CREATE: LiteralString = """
INSERT INTO api_keys (key_id, hash, name, scopes, user_id) VALUES (%s, %s, %s, %s, %s)
RETURNING key_id, name, scopes, user_id, created_at, rotated_at, revoked_at, last_used_at
"""
_LIST: LiteralString = """
SELECT key_id, name, scopes, user_id, created_at, rotated_at, revoked_at, last_used_at
  FROM api_keys ORDER BY created_at, key_id
"""
_ROTATE: LiteralString = """
UPDATE api_keys SET hash = %s, rotated_at = clock_timestamp() WHERE key_id = %s AND revoked_at IS NULL
RETURNING key_id, name, scopes, user_id, created_at, rotated_at, revoked_at, last_used_at
"""
_REVOKE: LiteralString = """
UPDATE api_keys SET revoked_at = COALESCE(revoked_at, clock_timestamp()) WHERE key_id = %s
RETURNING key_id, name, scopes, user_id, created_at, rotated_at, revoked_at, last_used_at
"""
# The local stack's own key: kept in its secrets, made known to its database at every start.
_REGISTER: LiteralString = """
INSERT INTO api_keys (key_id, hash, name, scopes) VALUES (%s, %s, 'local stack', '{operator}')
ON CONFLICT (key_id) DO UPDATE SET hash = excluded.hash WHERE api_keys.hash <> excluded.hash
"""


@dataclass(frozen=True)
class KeyRecord:
    """What is known of a key."""

    key_id: str
    name: str
    scopes: list[str]
    user_id: str | None
    created_at: datetime
    rotated_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def new_key(key_id: str) -> str:
    """`tmk_<id>_<256 random bits>`."""
    return f"tmk_{key_id}_{secrets.token_urlsafe(32)}"


def create_key(url: str, name: str, scopes: Sequence[str], user_id: str | None) -> tuple[str, KeyRecord]:
    """The key, never to be seen again, and its record. `url` is of the database's owner."""
    unknown = set(scopes) - set(SCOPES)
    if unknown or not scopes:
        raise InvalidInput("invalid_scope", f"scopes are {', '.join(SCOPES)}", "scopes")
    if user_id is not None and "operator" in scopes:
        raise InvalidInput("invalid_scope", "an operator's key is bound to no user", "scopes")
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))
    key = new_key(key_id)
    record = _one(url, _CREATE, (key_id, hash_of(key), name, list(scopes), user_id))
    assert record is not None
    return key, record


def list_keys(url: str) -> list[KeyRecord]:
    """The oldest first, revoked ones too."""
    with (
        psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection,
        connection.cursor(row_factory=class_row(KeyRecord)) as cursor,
    ):
        return cursor.execute(_LIST).fetchall()


def rotate_key(url: str, key_id: str) -> tuple[str, KeyRecord]:
    """A new secret for the key; the old one is good no longer. Raises NotFound, also for a revoked one."""
    key = new_key(key_id)
    record = _one(url, _ROTATE, (hash_of(key), key_id))
    if record is None:
        raise NotFound("key_not_found", f"there is no good key {key_id}", "key_id")
    return key, record


def revoke_key(url: str, key_id: str) -> KeyRecord:
    """The key is good no longer, within a second or so. Raises NotFound."""
    record = _one(url, _REVOKE, (key_id,))
    if record is None:
        raise NotFound("key_not_found", f"there is no key {key_id}", "key_id")
    return record


def register_local_key(url: str, key: str) -> None:
    """Makes the local stack's key good for everything."""
    key_id = key_id_of(key)
    assert key_id is not None, "not a key"
    with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        connection.execute(_REGISTER, (key_id, hash_of(key)))


def _one(url: str, statement: LiteralString, parameters: tuple[object, ...]) -> KeyRecord | None:
    with (
        psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection,
        connection.cursor(row_factory=class_row(KeyRecord)) as cursor,
    ):
        return cursor.execute(statement, parameters).fetchone()
