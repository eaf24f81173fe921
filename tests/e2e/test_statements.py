"""Statements over HTTP and on the command line, of money that has just moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from tests.e2e.api import World, client, make_key, problem
from tests.fixtures.running import RunningStack


def test_a_statement_carries_what_the_orders_said(world: World, running_stack: RunningStack) -> None:
    lena, bakery = world.account("lena", "500.00"), world.account("bakery")
    world.processed_payment(
        lena,
        bakery,
        "12.50",
        reference="coffee",
        description="two of them",
        category="eating out",
        tags=["cash back"],
        metadata={"location": "Hamburg"},
    )
    moved = world.transfer(
        lena, bakery, "30.00", purpose="RENT", category="home", tags=["flat"], reference="March"
    )
    world.until(moved.headers["location"], "completed")

    today = datetime.now(UTC)
    asked = {"from": (today - timedelta(days=1)).isoformat(), "limit": "2"}
    first = world.http.get(f"/v1/accounts/{lena}/statement", params=asked)
    assert first.status_code == 200, first.text
    assert int(first.headers["projection-lag-events"]) >= 0
    page = first.json()
    assert (page["opening_balance"], page["closing_balance"]) == ("0.00", "457.50")
    assert (page["credits"], page["debits"], page["debit_count"]) == ("500.00", "42.50", 2)
    told = ("amount", "balance", "kind", "category", "tags", "location", "reference", "description", "purpose")
    assert [[line[name] for name in told] for line in page["items"]] == [
        ["500.00", "500.00", "deposit", "deposit", [], None, None, None, None],
        ["-12.50", "487.50", "payment", "eating out", ["cash back"], "Hamburg", "coffee", "two of them", None],
    ]
    rest = world.http.get(f"/v1/accounts/{lena}/statement", params={**asked, "cursor": page["next_cursor"]}).json()
    assert [[line[name] for name in told] for line in rest["items"]] == [
        ["-30.00", "457.50", "transfer", "home", ["flat"], None, "March", None, "RENT"]
    ]
    assert rest["next_cursor"] is None
    assert world.http.get(f"/v1/accounts/{lena}/entries").json()["items"][0] == rest["items"][0]

    summary = world.http.get(f"/v1/accounts/{lena}/summary", params={"months": 1}).json()
    assert (summary["balance"], summary["available"], len(summary["recent"])) == ("457.50", "457.50", 3)
    month = today.strftime("%Y-%m")
    assert summary["spending"] == [
        {"month": month, "category": "home", "entries": 1, "amount": "30.00"},
        {"month": month, "category": "eating out", "entries": 1, "amount": "12.50"},
    ]
    _on_the_command_line(running_stack, lena, today)


def _on_the_command_line(running_stack: RunningStack, lena: str, today: datetime) -> None:
    begun = (today - timedelta(days=1)).date().isoformat()
    told = running_stack.json("account", "statement", lena, "--from", begun)
    assert (told["closing_balance"], len(told["items"])) == ("457.50", 3)
    spoken = running_stack.command("account", "summary", lena)
    assert "Hamburg" in spoken.out
    assert "eating out" in spoken.out.rpartition("Spent")[2]
    deposited = told["items"][0]["at"]
    assert running_stack.json("account", "show", lena, "--as-of", deposited)["balance"] == "500.00"
    long_ago = running_stack.command("account", "show", lena, "--as-of", "2001-01-01")
    assert (long_ago.code, "did not exist" in long_ago.err) == (1, True)


def test_a_statement_as_a_file_agrees_with_the_ledger_it_came_from(
    world: World, running_stack: RunningStack, tmp_path: Path
) -> None:
    """Out over HTTP, and back in on the command line; then with one entry changed, one gone and one made up."""
    lena, bakery = world.account("lena", "500.00"), world.account("bakery")
    for number in range(3):
        world.processed_payment(lena, bakery, f"{number + 1}.25", reference=f"bread {number}")
    path = f"/v1/accounts/{lena}/statement"
    assert world.http.get(path).json()["debit_count"] == 3
    for form, media_type in (("csv", "text/csv; charset=utf-8"), ("camt.053", "application/xml")):
        sent = world.http.get(f"{path}/{form}")
        assert (sent.status_code, sent.headers["content-type"]) == (200, media_type), sent.text
        assert sent.headers["content-disposition"].startswith('attachment; filename="')
    file = tmp_path / "bank.xml"
    file.write_bytes(sent.content)
    whole = running_stack.json("reconcile", str(file))
    assert (whole["agrees"], len(whole["statements"][0]["matched"])) == (True, 4)
    file.write_bytes(sent.content.replace(b"2.25", b"2.26"))
    wrong = running_stack.command("reconcile", str(file))
    assert (wrong.code, "differs" in wrong.out) == (1, True), wrong.out
    assert "3 matched, 1 differ, 0 missing in the ledger, 0 missing on the statement" in wrong.out

    mine = tmp_path / "mine.csv"
    made = running_stack.command("account", "statement", lena, "--format", "csv", "--output", str(mine))
    assert made.code == 0, made.err
    text = mine.read_text()
    mine.write_text(text.replace(text.splitlines()[-1], "XX-1,2026-03-01,-7.77,EUR,,,,,,,,,,,"))
    told = running_stack.command("reconcile", str(mine), "--json")
    [report] = told.json["statements"]
    assert (told.code, told.json["agrees"]) == (1, False)
    assert [len(report[name]) for name in ("matched", "missing_in_ledger", "missing_in_statement")] == [3, 1, 1]
    assert report["missing_in_ledger"][0]["amount"] == "-7.77"
    assert report["missing_in_statement"][0]["amount"] == "-3.25"
    assert [warning["code"] for warning in report["warnings"]] == ["does_not_add_up"]


XML, CSV = {"Content-Type": "application/xml"}, {"Content-Type": "text/csv"}
RECONCILE = "/v1/reconciliations"


def test_a_banks_statement_is_reconciled_over_http_as_on_the_command_line(
    world: World, running_stack: RunningStack, tmp_path: Path
) -> None:
    lena, bakery = world.account("lena", "500.00"), world.account("bakery")
    for number in range(2):
        world.processed_payment(lena, bakery, f"{number + 1}.25", reference=f"bread {number}")
    sent = world.http.get(f"/v1/accounts/{lena}/statement/camt.053")
    whole = world.http.post(RECONCILE, content=sent.content, headers=XML)
    assert whole.status_code == 200, whole.text
    assert int(whole.headers["projection-position"]) > 0
    assert (whole.json()["agrees"], len(whole.json()["statements"][0]["matched"])) == (True, 3)

    changed = tmp_path / "bank.xml"
    changed.write_bytes(sent.content.replace(b"2.25", b"2.26"))
    wrong = world.http.post(RECONCILE, content=changed.read_bytes(), headers=XML).json()
    assert [len(wrong["statements"][0][name]) for name in ("matched", "differing")] == [2, 1]
    spoken = running_stack.command("reconcile", str(changed), "--json").json
    for report in (wrong, spoken):
        for warning in report["statements"][0]["warnings"]:
            del warning["location"]  # it begins with the file's name
        # Times are said in two ways.
        for name in ("from_at", "to_at"):
            report["statements"][0][name] = datetime.fromisoformat(report["statements"][0][name])
    assert wrong == spoken

    bank = f"booked_at,amount,reference\n{datetime.now(UTC).date()},-2.25,bread 1\n"
    named = world.http.post(RECONCILE, content=bank, headers=CSV, params={"account_id": lena}).json()
    [pair] = named["statements"][0]["matched"]
    assert (pair["by"], pair["statement"]["amount"], pair["ledger"]["amount"]) == ("reference", "-2.25", "-2.25")


def test_a_statement_that_cannot_be_reconciled_is_refused(world: World, running_stack: RunningStack) -> None:
    lena, other = world.account("lena", "5.00", user=f"{world.run}-ann"), world.account("other", "5.00")
    mine = world.http.get(f"/v1/accounts/{lena}/statement/csv").content
    theirs = world.http.get(f"/v1/accounts/{other}/statement/csv").content

    def sent(content: str | bytes, kind: dict[str, str] = CSV, **asked: str) -> httpx.Response:
        return world.http.post(RECONCILE, content=content, headers=kind, params=asked)

    said = problem(sent("booked_at,amount\nyesterday,1.00\n", account_id=lena), 422, "invalid_date")
    assert said["errors"][0]["field"] == "statement:2"
    problem(sent("", account_id=lena), 422, "empty_file")
    problem(sent("<!DOCTYPE a [<!ENTITY b 'c'>]><Document/>", XML), 422, "unsafe_xml")
    problem(sent("booked_at,amount,currency\n2026-03-01,1.00,EUR\n"), 422, "account_missing")
    problem(sent(mine, days="11"), 422, "invalid_field")
    problem(sent(mine, account_id=f"{world.run}-nobody"), 404, "account_not_found")
    problem(world.http.put(RECONCILE, content=mine, headers=CSV), 405, "method_not_allowed")
    problem(sent("{}", {"Content-Type": "application/json"}), 415, "unsupported_media_type")
    problem(sent(b"x" * (8 * 1024 * 1024 + 1)), 413, "body_too_large")
    problem(httpx.post(f"{world.info.api}{RECONCILE}", content=mine, headers=CSV), 401, "unauthorized")

    key, _ = make_key(running_stack, "read", user=f"{world.run}-ann")
    with client(running_stack.info, key) as ann:
        assert ann.post(RECONCILE, content=mine, headers=CSV).json()["agrees"] is True
        hidden = ann.post(RECONCILE, content=theirs, headers=CSV)
        nobody = ann.post(RECONCILE, content=theirs.replace(other.encode(), b"no-one"), headers=CSV)
        assert problem(hidden, 404, "account_not_found")["detail"] == f"account {other} does not exist"
        assert problem(nobody, 404, "account_not_found")["detail"] == "account no-one does not exist"


def test_periods_that_are_none_are_refused(world: World) -> None:
    account = world.account("a", "1.00")
    path = f"/v1/accounts/{account}/statement"
    backwards = world.http.get(path, params={"from": "2026-03-02", "to": "2026-03-01"})
    assert problem(backwards, 422, "invalid_range")["field"] == "to"
    assert world.http.get(path, params={"from": "2026-03-01", "to": "2026-03-01"}).status_code == 422
    assert world.http.get(path, params={"from": "now"}).status_code == 422
    assert world.http.get(path, params={"from": "2026-03-01T09:00:00"}).status_code == 422  # of which zone?
    problem(world.http.get(f"/v1/accounts/{world.run}-nobody/statement"), 404, "not_found")
    problem(world.http.get(f"/v1/accounts/{world.run}-nobody/summary"), 404, "not_found")
    empty = world.http.get(path, params={"from": "0001-01-01", "to": "0001-01-02"}).json()
    assert (empty["opening_balance"], empty["closing_balance"], empty["items"]) == ("0.00", "0.00", [])
    assert (
        world.http.get(path, params={"from": "0001-01-01", "to": "9999-12-31T23:59:59-01:00"}).status_code == 200
    )
