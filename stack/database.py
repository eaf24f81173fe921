"""Who connects to the database as whom: a role for writing, one for projecting, one for reading.

On the embedded Postgres each role logs in with a password of its own. On a database of the user's, everybody
connects as the user does and takes the role on at once (libpq's `options`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from stack.errors import PartUnavailable
from stack.postgres import PostgresServer
from stack.secrets import SecretBook

APP, PROJECTOR, READER = ROLES = ("tidemark_app", "tidemark_projector", "tidemark_reader")

OLDEST = 18


@dataclass(frozen=True)
class DatabaseUrls:
    """Connection URLs by purpose; all the same when nothing has made the roles."""

    admin: str
    app: str
    projector: str
    reader: str


def prepare_embedded(
    server: PostgresServer, secrets: SecretBook, migrate: Callable[[str], None] | None
) -> DatabaseUrls:
    """Migrate, let each role log in with its own password, and say where. Raises `PartUnavailable`."""
    admin = server.admin_url
    if migrate is None:
        return DatabaseUrls(admin, admin, admin, admin)
    migrate(admin)
    passwords = {role: secrets.get(role) for role in ROLES}
    with psycopg.connect(admin, autocommit=True) as connection:
        _must_have_roles(connection)
        for role, password in passwords.items():
            # Hashed here, so that the password itself reaches no statement and no log.
            verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
            statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(role), sql.Literal(verifier.decode())))
    urls = {role: server.url(role, password) for role, password in passwords.items()}
    return DatabaseUrls(admin, urls[APP], urls[PROJECTOR], urls[READER])


def prepare_external(url: str, migrate: Callable[[str], None] | None) -> DatabaseUrls:
    """The same on the user's own database. Raises `PartUnavailable` when it cannot be reached."""
    admin = plain_url(url)
    try:
        with psycopg.connect(admin, connect_timeout=10) as connection:
            must_be_new_enough(connection.info.server_version)
    except psycopg.OperationalError as error:
        raise PartUnavailable("postgres", f"DATABASE_URL cannot be reached: {str(error).strip()}") from error
    if migrate is None:
        return DatabaseUrls(admin, admin, admin, admin)
    migrate(admin)
    with psycopg.connect(admin, autocommit=True) as connection:
        _must_have_roles(connection)
        for role in ROLES:
            allowed = connection.execute("SELECT pg_has_role(current_user, %s, 'SET')", [role]).fetchone()
            if allowed != (True,):
                connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)))
    return DatabaseUrls(admin, with_role(admin, APP), with_role(admin, PROJECTOR), with_role(admin, READER))


def must_be_new_enough(version: int) -> None:
    """`version` as libpq counts it: 180003 is 18.3. Views use `RETURNING old`, which 18 has brought."""
    if version < OLDEST * 10_000:
        found = f"{version // 10_000}.{version % 10_000}"
        raise PartUnavailable("postgres", f"DATABASE_URL is Postgres {found}; {OLDEST} or newer is needed")


def plain_url(url: str) -> str:
    """A URL as libpq and SQLAlchemy both read it: `postgres://` and `postgresql+psycopg://` become `postgresql://`."""
    scheme, separator, rest = url.partition("://")
    if separator and (scheme == "postgres" or scheme.startswith("postgresql+")):
        return f"postgresql://{rest}"
    return url


def with_role(url: str, role: str) -> str:
    """The same database, but every session takes this role on at once. Other `options` are kept."""
    setting = f"-c role={role}"
    if "://" not in url:
        known = conninfo_to_dict(url).get("options")
        return make_conninfo(url, options=f"{known} {setting}" if known else setting)
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query["options"] = f"{query['options']} {setting}" if query.get("options") else setting
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


def _must_have_roles(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [list(ROLES)]).fetchall()
    missing = sorted(set(ROLES) - {str(name) for (name,) in rows})
    if missing:
        raise PartUnavailable("postgres", f"the migrations did not make the roles {', '.join(missing)}")
