"""docs/openapi.json is what the API serves, and tells everything that may come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from api.app import make_app
from api.openapi import described
from commands.catalogue import COMMANDS
from tests.fixtures.processes import ROOT

DESCRIPTION: dict[str, Any] = make_app().openapi()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def told(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Its answers by status, wherever they are told."""
    for status, response in operation["responses"].items():
        name = response.get("$ref", "").rpartition("/")[2]
        yield status, DESCRIPTION["components"]["responses"][name] if name else response


def test_the_committed_description_is_up_to_date() -> None:
    assert (ROOT / "docs" / "openapi.json").read_text() == described(), "run `make openapi`"


def test_every_error_is_described_as_a_problem() -> None:
    for method, path, operation in operations():
        if not path.startswith("/v1/"):
            continue
        wanted = {"401", "403", "422", "429", "503"} | ({"400", "413", "415"} if method == "post" else set())
        assert wanted <= operation["responses"].keys(), path
        if "{" in path:
            assert "404" in operation["responses"], path
        for status, response in told(operation):
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (path, status)


def test_every_answer_has_an_example_that_fits_its_schema() -> None:
    looked_at = 0
    for method, path, operation in operations():
        for status, response in told(operation):
            for content in response.get("content", {}).values():
                if "example" in content and "schema" in content:
                    schema = {**content["schema"], "components": DESCRIPTION["components"]}
                    errors = [error.message for error in jsonschema_rs.iter_errors(schema, content["example"])]
                    assert errors == [], (method, path, status)
                    looked_at += 1
                assert "example" in content or path in ("/metrics", "/readyz"), (method, path, status)
    assert looked_at > 200


def test_every_operation_is_named_once_and_explained() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(ids)) == len(ids)
    for _, path, operation in operations():
        assert operation["description"], path
        assert operation["tags"], path


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_used_by_a_route(name: str) -> None:
    sources = "".join(file.read_text() for file in (ROOT / "api" / "routes").glob("*.py"))
    assert json.dumps(name) in sources
