"""docs/views.md: every view in it has the route, the fields and the command that it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import starter
from api.app import make_app

PAGE = (Path(__file__).parents[2] / "docs" / "views.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("| ").split("|")]
    for line in PAGE.splitlines()
    if re.search(r"\| `(GET|POST) ", line)
]
DESCRIPTION: dict[str, Any] = make_app().openapi()


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference refers to."""
    while "$ref" in schema:
        schema = DESCRIPTION["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def fields(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The properties of an object, of a list's items, or of a page's."""
    schema = resolved(schema)
    for member in schema.get("anyOf", ()):
        if found := fields(member):
            return found
    if "items" in schema:
        return fields(schema["items"])
    properties: dict[str, dict[str, Any]] = schema.get("properties", {})
    return properties


def of_answer(method: str, path: str) -> dict[str, dict[str, Any]]:
    found = fields(DESCRIPTION["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"])
    return {**found, **(fields(found["items"]) if "next_cursor" in found else {})}


def commands(command: Any, name: str = "") -> Iterator[str]:
    for word, child in getattr(command, "commands", {}).items():
        yield f"{name}{word}"
        yield from commands(child, f"{name}{word} ")


def test_every_named_view_is_in_the_table() -> None:
    told = " ".join(row[0] for row in ROWS).lower()
    for named in (
        "running balance", "category, tags, location", "account summary", "statement of a period",
        "spending by category", "risk score", "user risk profile", "suspicious transactions", "similar cases",
        "notes", "rule hit rates", "queue ages", "bids, asks, depth", "last trade", "24 h statistics",
        "positions, average cost", "total value, day p&l", "open orders, trading power", "trade history",
    ):  # fmt: skip
        assert named in told, named


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_view_has_its_route_its_fields_and_its_command(row: list[str]) -> None:
    _, route, told, command = row
    method, _, path = route.strip("`").partition(" ")
    assert method.lower() in DESCRIPTION["paths"].get(path, {}), f"there is no {route}"
    for name in re.findall(r"`([\w.]+)`", told):
        first, _, nested = name.partition(".")
        known = of_answer(method.lower(), path)
        assert first in known, f"{path} does not answer {name}"
        assert not nested or nested in fields(known[first]), f"{path} does not answer {name}"
    assert command.strip("`") in set(commands(typer.main.get_command(starter.app))), f"there is no {command}"
