"""Questions about fraud: cases, a user's risk profile, similar cases, rule hit rates, how long cases wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import LiteralString

from queries.errors import NotFound
from queries.fraud_results import FraudAnalytics, FraudCaseView, QueueAge, RiskProfile, RuleHits
from queries.money import wire
from queries.paging import NEWEST, Page, checked_limit, decode_cursor, page_of
from queries.reader import Fetch, Question, Row

GET: LiteralString = "SELECT * FROM read.fraud_cases WHERE case_id = %s"

LIST: LiteralString = """
SELECT * FROM read.fraud_cases
 WHERE created_position < %(before)s AND (%(statuses)s::text[] IS NULL OR status = ANY (%(statuses)s))
   AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
   AND (%(account_id)s::text IS NULL OR account_id = %(account_id)s OR counterparty = %(account_id)s)
   AND (%(assignee)s::text IS NULL OR assignee = %(assignee)s)
 ORDER BY created_position DESC LIMIT %(rows)s
"""

# Others about the same user, the same accounts on either side, then those of which the same rules fired.
SIMILAR: LiteralString = """
SELECT other.*,
       (other.user_id = it.user_id)::int * 4
       + COALESCE(other.counterparty = it.counterparty, false)::int * 3
       + COALESCE(other.account_id = it.counterparty OR other.counterparty = it.account_id, false)::int * 3
       + cardinality(ARRAY(SELECT unnest(other.rules) INTERSECT SELECT unnest(it.rules))) AS likeness
  FROM read.fraud_cases AS it JOIN read.fraud_cases AS other ON other.case_id <> it.case_id
   AND (other.user_id = it.user_id OR other.counterparty = it.counterparty OR other.account_id = it.counterparty
        OR other.counterparty = it.account_id OR other.rules && it.rules)
 WHERE it.case_id = %(case_id)s
 ORDER BY likeness DESC, other.created_position DESC LIMIT %(rows)s
"""

PROFILE: LiteralString = """
SELECT count(*) AS cases,
       count(*) FILTER (WHERE status IN ('open', 'escalated')) AS open_cases,
       count(*) FILTER (WHERE status = 'rejected') AS confirmed,
       count(*) FILTER (WHERE status = 'approved') AS cleared,
       COALESCE(max(risk_score) FILTER (WHERE status IN ('open', 'escalated', 'rejected')), 0) AS risk_score,
       max(opened_at) AS last_case_at,
       COALESCE(bool_or(frozen), false) AS ever_frozen
  FROM read.fraud_cases WHERE user_id = %s
"""

PROFILE_RULES: LiteralString = """
SELECT rule, count(*) AS hits FROM read.fraud_cases, unnest(rules) AS rule WHERE user_id = %s
 GROUP BY rule ORDER BY hits DESC, rule
"""

SCREENED: LiteralString = """
SELECT COALESCE(sum(screened), 0)::bigint AS screened, COALESCE(sum(held), 0)::bigint AS held
  FROM read.screenings WHERE day BETWEEN %(from_day)s AND %(to_day)s
"""

RULES: LiteralString = """
SELECT rule, count(*) AS hits, count(*) FILTER (WHERE status = 'rejected') AS confirmed,
       count(*) FILTER (WHERE status = 'approved') AS cleared
  FROM read.fraud_cases, unnest(rules) AS rule
 WHERE opened_at >= %(from_day)s::date AND opened_at < %(to_day)s::date + 1
 GROUP BY rule ORDER BY hits DESC, rule
"""

STATUSES: LiteralString = """
SELECT status, count(*) AS cases FROM read.fraud_cases
 WHERE opened_at >= %(from_day)s::date AND opened_at < %(to_day)s::date + 1 GROUP BY status ORDER BY status
"""

# Of all that is undecided now. Ages are reckoned by the database's clock.
QUEUE: LiteralString = """
SELECT status, count(*) AS cases, count(*) FILTER (WHERE assignee IS NULL) AS unassigned,
       count(*) FILTER (WHERE decide_by < clock_timestamp()) AS overdue,
       GREATEST(extract(epoch FROM clock_timestamp() - min(opened_at)), 0)::float8 AS oldest_s,
       GREATEST(extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (
           ORDER BY clock_timestamp() - opened_at)), 0)::float8 AS median_s
  FROM read.fraud_cases WHERE status IN ('open', 'escalated') GROUP BY status ORDER BY status
"""


def get_fraud_case(case_id: str) -> Question[FraudCaseView]:
    """Raises NotFound."""

    async def ask(fetch: Fetch) -> FraudCaseView:
        rows = await fetch(GET, (case_id,))
        if not rows:
            raise NotFound(f"fraud case {case_id} does not exist")
        return case_of(rows[0])

    return Question("get_fraud_case", ("fraud_cases",), ask)


def list_fraud_cases(  # noqa: PLR0917 – filters
    statuses: Sequence[str] | None = None,
    user_id: str | None = None,
    account_id: str | None = None,
    assignee: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Question[Page[FraudCaseView]]:
    """The newest first. `account_id` on either side. Raises BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    (before,) = decode_cursor("fraud_cases", cursor, (NEWEST,))
    wanted = {
        "statuses": None if statuses is None else list(statuses),
        "user_id": user_id,
        "account_id": account_id,
        "assignee": assignee,
        "before": before,
        "rows": limit + 1,
    }

    async def ask(fetch: Fetch) -> Page[FraudCaseView]:
        rows = await fetch(LIST, wanted)
        return page_of(rows, limit, "fraud_cases", lambda row: (row["created_position"],), case_of)

    return Question("list_fraud_cases", ("fraud_cases",), ask)


def similar_fraud_cases(case_id: str, limit: int = 20) -> Question[tuple[FraudCaseView, ...]]:
    """The most alike first: the same user, then the same parties, then the same rules. Raises NotFound."""
    checked_limit(limit)

    async def ask(fetch: Fetch) -> tuple[FraudCaseView, ...]:
        if not await fetch(GET, (case_id,)):
            raise NotFound(f"fraud case {case_id} does not exist")
        return tuple(case_of(row) for row in await fetch(SIMILAR, {"case_id": case_id, "rows": limit}))

    return Question("similar_fraud_cases", ("fraud_cases",), ask)


def risk_profile(user_id: str) -> Question[RiskProfile]:
    """What the cases about a user add up to; one without cases has a score of 0."""

    async def ask(fetch: Fetch) -> RiskProfile:
        [row] = await fetch(PROFILE, (user_id,))
        rules = {found["rule"]: found["hits"] for found in await fetch(PROFILE_RULES, (user_id,))}
        return RiskProfile(user_id=user_id, rules=rules, **row)

    return Question("risk_profile", ("fraud_cases",), ask)


def fraud_analytics(from_day: date, to_day: date) -> Question[FraudAnalytics]:
    """Days are UTC, both ends included. Raises ValueError where they are the wrong way round."""
    if to_day < from_day:
        raise ValueError("to must not be before from")
    days = {"from_day": from_day, "to_day": to_day}

    async def ask(fetch: Fetch) -> FraudAnalytics:
        [counts] = await fetch(SCREENED, days)
        screened = counts["screened"]
        rules = [
            RuleHits(hit_rate=_rate(row["hits"], screened), precision=_precision(row), **row)
            for row in await fetch(RULES, days)
        ]
        return FraudAnalytics(
            from_day=from_day,
            to_day=to_day,
            screened=screened,
            held=counts["held"],
            held_rate=_rate(counts["held"], screened),
            cases_by_status={row["status"]: row["cases"] for row in await fetch(STATUSES, days)},
            rules=tuple(rules),
            queue=tuple(QueueAge(**row) for row in await fetch(QUEUE)),
        )

    return Question("fraud_analytics", ("fraud_cases", "screenings"), ask)


def _rate(part: int, whole: int) -> Decimal | None:
    return round(Decimal(part) / whole, 4) if whole else None


def _precision(row: Row) -> Decimal | None:
    """Of the decided cases, how many were fraud."""
    return _rate(row["confirmed"], row["confirmed"] + row["cleared"])


def case_of(row: Row) -> FraudCaseView:
    """A row of the view, as it is told."""
    as_they_are = (
        "case_id status source subject account_id user_id counterparty currency risk_score opened_by opened_at "
        "decide_by assignee escalated_at decided_at decided_by decision_note frozen updated_at version"
    )
    currency = row["currency"]
    return FraudCaseView(
        **{name: row[name] for name in as_they_are.split()},
        amount=None if currency is None else wire(row["amount"], currency),
        reasons=tuple(row["reasons"]),
        rules=tuple(row["rules"]),
        notes=tuple(row["notes"]),
    )
