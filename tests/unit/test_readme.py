"""What the README names is there."""

from __future__ import annotations

import re

import pytest

from settings import Settings
from tests.fixtures.processes import ROOT

README = (ROOT / "README.md").read_text()
NAMED = set(re.findall(r"`((?:tests|docs|examples|deploy|demo)/[\w/.-]+)`", README))
LINKED = {link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link}


@pytest.mark.parametrize("path", sorted(NAMED | LINKED))
def test_a_file_it_names_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_defaults_it_tells_are_those_of_the_settings() -> None:
    fields = Settings.model_fields
    told = re.findall(r"^\| `TIDEMARK_([A-Z_]+)` \| ([\d.]+|true|false) \|", README, re.MULTILINE)
    known = {name.lower(): value for name, value in told if name.lower() in fields}
    assert len(known) > 5
    assert known == {name: str(fields[name].default).lower() for name in known}
