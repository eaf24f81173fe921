"""Fixtures for all tests: real servers, started by the tests themselves."""

from tests.fixtures.api import world
from tests.fixtures.database import (
    database,
    database_url,
    module_database,
    second_database_url,
    template_database,
)
from tests.fixtures.running import running_stack
from tests.fixtures.stack import postgres_server, temporal_server

__all__ = [
    "database",
    "database_url",
    "module_database",
    "postgres_server",
    "running_stack",
    "second_database_url",
    "template_database",
    "temporal_server",
    "world",
]
