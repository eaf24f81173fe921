"""docker-compose.yml and the image: valid, pinned, private, and everything they refer to is there.

No container engine is needed. Variables are filled in with their defaults, as compose does without a .env file.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stack.temporal import SEARCH_ATTRIBUTES

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
JOBS = {"temporal-schema", "temporal-namespace", "migrate"}


def _defaults(text: str) -> str:
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def load() -> dict[str, Any]:
    loaded = YAML(typ="safe").load(_defaults(COMPOSE.read_text()))
    assert isinstance(loaded, dict)
    return loaded


SERVICES: dict[str, dict[str, Any]] = load()["services"]
each_service = pytest.mark.parametrize("name", SERVICES)


def test_it_is_a_valid_compose_file() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_whole_topology_is_there() -> None:
    assert set(SERVICES) >= JOBS | {
        "postgres",
        "temporal",
        "temporal-ui",
        "worker",
        "projector",
        "api",
        "prometheus",
        "grafana",
    }
    servers = {SERVICES["temporal"]["image"].split(":")[1], SERVICES["temporal-schema"]["image"].split(":")[1]}
    assert all(tag.startswith("1.29.1") for tag in servers), "schema and server are of one version"


@each_service
def test_images_are_pinned_to_a_version(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")
    assert image not in {"temporalio/auto-setup"}, "retired"
    assert re.match(r"v?\d+\.\d+", tag), f"{name} runs {image}:{tag or 'latest'}"


@each_service
def test_ports_are_published_on_the_loopback_interface_only(name: str) -> None:
    service = SERVICES[name]
    assert service.get("network_mode") != "host"
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), f"{name} is reachable from outside: {port}"


def test_no_two_services_want_one_port() -> None:
    published = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == len(set(published))


@each_service
def test_a_service_says_how_it_is_and_a_job_ends(name: str) -> None:
    if name in JOBS:
        assert "healthcheck" not in SERVICES[name]
        assert SERVICES[name]["restart"].startswith("on-failure")
    else:
        assert SERVICES[name]["healthcheck"]["test"]
        assert SERVICES[name]["restart"] == "unless-stopped"


@each_service
def test_it_waits_for_what_it_needs_in_the_way_that_thing_can_tell(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in JOBS else "service_healthy"
        assert how == {"condition": expected}, f"{name} on {other}"


@each_service
def test_everything_it_mounts_is_there(name: str) -> None:
    volumes = load()["volumes"]
    for mount in SERVICES[name].get("volumes", []):
        source, target, *mode = mount.split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists(), f"{name} mounts {source}"
            assert mode == ["ro"], f"{name} may write to {source}"
        else:
            assert source in volumes


@each_service
def test_every_script_and_module_it_runs_is_there(name: str) -> None:
    service = SERVICES[name]
    mounts = dict(reversed(mount.split(":")[:2]) for mount in service.get("volumes", []))
    for word in [*service.get("entrypoint", []), *service.get("command", [])]:
        if word.endswith(".sh"):
            folder, _, file = word.rpartition("/")
            assert (ROOT / mounts[folder] / file).is_file(), word
        if word.endswith(".py"):
            assert (ROOT / word).is_file(), word


def test_the_migrations_run_as_alembic_finds_them() -> None:
    assert SERVICES["migrate"]["command"] == ["alembic", "upgrade", "head"]
    assert (ROOT / "alembic.ini").is_file()
    assert (ROOT / "migrations" / "env.py").is_file()


def test_data_is_kept_in_named_volumes_where_the_image_looks_for_it() -> None:
    assert "postgres:/var/lib/postgresql" in SERVICES["postgres"]["volumes"], "18 and later refuse .../data"


def test_own_containers_are_locked_down() -> None:
    own = [service for service in SERVICES.values() if "build" in service]
    assert len(own) >= 3
    for service in own:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert not service.get("privileged")


def test_each_process_writes_as_its_own_role() -> None:
    assert "//tidemark_app:" in SERVICES["worker"]["environment"]["DATABASE_URL"]
    assert "//tidemark_projector:" in SERVICES["projector"]["environment"]["DATABASE_URL"]
    assert "//tidemark_reader:" in SERVICES["worker"]["environment"]["TIDEMARK_READ_DATABASE_URL"]


def test_every_password_can_be_set_and_the_example_names_it() -> None:
    text = COMPOSE.read_text()
    example = dict(
        line.split("=", 1)
        for line in (ROOT / "deploy" / "example.env").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    assert used == example
    for key, value in re.findall(r"^ +(\w*(?:PASSWORD|PWD|SECRET|KEY)\w*): *(\S+)", text, re.MULTILINE):
        assert value.startswith("${"), f"{key} is fixed in the file"


def test_the_image_runs_as_an_ordinary_user_from_the_locked_packages() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1].split(":")[0] not in {"0", "root"}
    for line in lines:
        if line.startswith("FROM "):
            assert re.match(r"FROM python:3\.\d+-slim", line)
    text = " ".join(lines)
    assert "--require-hashes" in text
    assert "requirements/run.lock" in text
    assert (ROOT / "requirements" / "run.lock").is_file()
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ".*" in ignored, "no .env, no .data, no .git in the image"


def test_both_stacks_register_the_same_search_attributes() -> None:
    script = (ROOT / "deploy" / "temporal" / "namespace.sh").read_text()
    assert dict(re.findall(r"^attribute (\w+) (\w+)$", script, re.MULTILINE)) == SEARCH_ATTRIBUTES


def test_the_dashboard_asks_the_provisioned_source_for_our_own_metrics() -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "tidemark.json").read_text())
    source = YAML(typ="safe").load(
        (ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    )
    uids = {panel["datasource"]["uid"] for panel in dashboard["panels"]}
    assert uids == {source["datasources"][0]["uid"]}
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    assert "tidemark_projection_lag_events" in asked
