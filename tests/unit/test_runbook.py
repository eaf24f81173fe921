"""docs/runbook.md: every finding has a line, every command exists, every alarm asks for what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import typer
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

import starter
from api.metrics import Metrics as ApiMetrics
from operations.remedies import REMEDIES
from projections.metrics import Metrics as ViewMetrics

ROOT = Path(__file__).parents[2]
RULES: list[dict[str, Any]] = YAML(typ="safe").load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())[
    "groups"
][0]["rules"]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


def test_every_finding_that_the_code_can_make_is_explained() -> None:
    made = set(REMEDIES)
    for module in ("eventstore/verify.py", "operations/audit.py"):
        made |= set(re.findall(r'(?:wrong|_find|Finding)\(\s*"(\w+)"', (ROOT / module).read_text()))
    made |= set(
        re.findall(r'^    \("(\w+)", _', (ROOT / "eventstore" / "verify_queries.py").read_text(), re.MULTILINE)
    )
    assert len(made) > 30
    explained = set(re.findall(r"`(\w+)`", RUNBOOK))
    assert made <= explained, made - explained


def test_every_command_and_option_in_it_exists() -> None:
    known = typer.main.get_command(starter.app)
    written = re.findall(r"starter\.py ([a-z-]+(?: [a-z]+(?= |`))?)[^`\n]*", RUNBOOK)
    assert len(written) > 20
    for words in written:
        command = known
        for word in words.split():
            commands = getattr(command, "commands", None)
            if commands is None:
                break
            assert word in commands, f"starter.py {words}"
            command = commands[word]
    options = {option for line in re.findall(r"`([^`]*)`", RUNBOOK) for option in re.findall(r"--[a-z-]+", line)}
    known_options = {
        name
        for command in known.commands.values()  # type: ignore[attr-defined]
        for parameter in command.params
        for name in parameter.opts
    }
    assert options <= known_options


def test_every_alarm_has_a_line() -> None:
    rows = set(re.findall(r"^\| (Tidemark\w+) \|", RUNBOOK, re.MULTILINE))
    assert rows == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alarm_is_valid_and_asks_for_metrics_that_are_there(rule: dict[str, Any]) -> None:
    assert promql_parser.parse(rule["expr"]) is not None
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert rule["labels"]["severity"] in {"page", "ticket"}
    asked = set(re.findall(r"\b(?:tidemark_\w+|up)\b", rule["expr"]))
    assert asked
    assert asked <= exported() | {"up"}


def exported() -> set[str]:
    """What our processes serve, as Prometheus sees it."""
    registry = CollectorRegistry()
    ApiMetrics(registry)
    ViewMetrics(registry)
    names = {metric.name for metric in registry.collect()}
    return names | {f"{name}_{part}" for name in names for part in ("total", "bucket", "count", "sum")}


def test_the_rules_are_loaded() -> None:
    config = YAML(typ="safe").load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    assert config["rule_files"] == ["alerts.yml"]
    compose = (ROOT / "docker-compose.yml").read_text()
    assert "./deploy/prometheus/alerts.yml:/etc/prometheus/alerts.yml:ro" in compose


def test_its_links_lead_somewhere() -> None:
    for text, other, anchor in re.findall(r"\[([^\]]+)\]\(([\w.-]*)#([\w-]+)\)", RUNBOOK):
        target = RUNBOOK if not other else (ROOT / "docs" / other).read_text()
        heads = {
            re.sub(r"[^\w -]", "", head).lower().replace(" ", "-")
            for head in re.findall(r"^#+ (.+)$", target, re.MULTILINE)
        }
        assert anchor in heads, text
