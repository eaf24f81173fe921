"""What stands around every route: media types, correlation, traces, health, metrics, logs."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from tests.e2e.api import World, problem
from tests.fixtures.running import RunningStack

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("body", ["{", "", "[1,", '{"a": NaN}', '{"a": "\\ud800"}', "\ufeff{}"])
def test_what_is_not_json_is_400(world: World, body: str) -> None:
    response = world.http.post("/v1/accounts", content=body.encode(), headers=JSON)
    assert response.status_code == (400 if body else 422), response.text
    assert response.json()["code"] == ("bad_json" if body else "missing_field")


@pytest.mark.parametrize("body", ["[]", "null", '"text"', "5"])
def test_json_that_is_no_object_is_422(world: World, body: str) -> None:
    assert world.http.post("/v1/accounts", content=body, headers=JSON).status_code == 422


def test_only_json_is_taken(world: World) -> None:
    for media_type in ("text/plain", "application/xml", "multipart/form-data; boundary=x", ""):
        response = world.http.post("/v1/accounts", content=b"{}", headers={"Content-Type": media_type})
        problem(response, 415, "unsupported_media_type")
    response = world.http.post(
        "/v1/accounts", content=b"{}", headers={"Content-Type": "Application/JSON; charset=utf-8"}
    )
    problem(response, 422, "missing_field")


def test_every_wrong_field_is_named(world: World) -> None:
    said = problem(world.http.post("/v1/payments", json={"amount": "1.00", "tags": 5}), 422, "missing_field")
    assert {error["field"] for error in said["errors"]} == {"currency", "from_account", "to_account", "tags"}
    assert said["detail"] == "currency is required"
    said = problem(world.http.post("/v1/payments", json=[1]), 422, "invalid_field")
    assert said["detail"] == "the body must be a JSON object"
    said = problem(world.http.get("/v1/analytics/payments", params={"from": "2026-02-30"}), 422, "invalid_field")
    assert (said["field"], len(said["errors"])) == ("from", 1)


def test_a_correlation_id_goes_through(world: World, running_stack: RunningStack) -> None:
    own = f"{world.run}-correlated"
    response = world.http.get("/v1/payments/nothing", headers={"X-Correlation-Id": own})
    assert response.headers["x-correlation-id"] == response.json()["correlation_id"] == own
    odd = world.http.get("/livez", headers={"X-Correlation-Id": "a b<script>"})
    assert re.fullmatch(r"[0-9a-f]{24}", odd.headers["x-correlation-id"])
    lines = (running_stack.data / "logs" / "api-0.log").read_text().splitlines()
    [line] = [json.loads(line) for line in lines if own in line]
    wanted = {"method": "GET", "route": "/v1/payments/{payment_id}", "status": 404, "key_id": "local"}
    assert wanted.items() <= line.items()
    assert line["duration_ms"] > 0


def test_a_trace_goes_into_the_events_and_back(world: World) -> None:
    payer, payee = world.account("a", "20.00"), world.account("b")
    paths = []
    body = {"from_account": payer, "to_account": payee, "amount": "1.00", "currency": "EUR"}
    for path in ("/v1/payments", "/v1/transfers"):
        response = world.http.post(path, json=body, headers={"traceparent": PARENT})
        version, trace_id, span_id, flags = response.headers["traceparent"].split("-")
        assert (version, trace_id, flags) == ("00", PARENT.split("-")[1], "01")
        assert span_id != PARENT.split("-")[2]
        paths.append(response.headers["location"])
        traced = response.headers["traceparent"]
        world.until(paths[-1], "processed", "completed")
        events = world.http.get(f"{paths[-1]}/events").json()["items"]
        assert {event["traceparent"] for event in events} == {traced}
        assert {event["correlation_id"] for event in events} == {
            paths[-1].removeprefix("/v1/").replace("s/", "-", 1)
        }
    fresh = world.http.get("/livez", headers={"traceparent": "00-" + "0" * 32 + "-b7ad6b7169203331-01"})
    assert fresh.headers["traceparent"].split("-")[1] != "0" * 32


def test_health_is_told_without_a_key(world: World) -> None:
    with httpx.Client(base_url=world.info.api) as http:
        assert (http.get("/livez").status_code, http.get("/livez").text) == (200, "ok")
        ready = http.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["postgres"] is ready.json()["temporal"] is True
        assert ready.json()["lag"]["events"] >= 0


def test_metrics_count_by_route_and_status(world: World) -> None:
    world.http.get(f"/v1/payments/{world.run}")
    world.http.get(f"/nothing/{world.run}")
    with httpx.Client(base_url=world.info.api) as http:
        text = http.get("/metrics").text
    assert 'tidemark_http_requests_total{method="GET",route="/v1/payments/{payment_id}",status="404"}' in text
    assert 'tidemark_http_requests_total{method="GET",route="unmatched",status="404"}' in text
    assert 'tidemark_http_request_seconds_bucket{le="0.01",method="GET",route="/v1/payments/{payment_id}"}' in text
    assert "tidemark_http_requests_in_flight 1.0" in text
    assert world.run not in text
