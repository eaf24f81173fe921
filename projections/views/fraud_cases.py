"""fraud_cases: each case as it stands, with what was noted; the risk profile of a user is the sum of these."""

from __future__ import annotations

from typing import LiteralString, get_args

from domain.fraud_case_messages import (
    CaseAccountFrozen,
    CaseApproved,
    CaseAssigned,
    CaseEscalated,
    CaseNoteAdded,
    CaseOpened,
    CaseRejected,
    CaseWithdrawn,
    FraudCaseEvent,
)
from domain.streams import FRAUD_CASE
from projections.model import Batch, Row, Seen, Statement, View, wanted

TABLES: LiteralString = """
CREATE TABLE fraud_cases (
    case_id text COLLATE "C" PRIMARY KEY,
    status text NOT NULL,
    source text NOT NULL,
    subject text,
    account_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    counterparty text COLLATE "C",
    currency text,
    amount bigint,
    risk_score int NOT NULL,
    reasons jsonb NOT NULL,
    rules text[] NOT NULL,
    opened_by text NOT NULL,
    opened_at timestamptz NOT NULL,
    decide_by timestamptz NOT NULL,
    assignee text,
    escalated_at timestamptz,
    decided_at timestamptz,
    decided_by text,
    decision_note text,
    frozen boolean NOT NULL DEFAULT false,
    notes jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    created_position bigint NOT NULL UNIQUE
) WITH (fillfactor = 70);
CREATE INDEX fraud_cases_by_status ON fraud_cases (status, created_position);
CREATE INDEX fraud_cases_of_user ON fraud_cases (user_id, created_position);
CREATE INDEX fraud_cases_of_account ON fraud_cases (account_id, created_position);
CREATE INDEX fraud_cases_with ON fraud_cases (counterparty, created_position);
CREATE INDEX fraud_cases_by_day ON fraud_cases (opened_at);
"""

OPEN: LiteralString = """
INSERT INTO fraud_cases (case_id, status, source, subject, account_id, user_id, counterparty, currency, amount,
                         risk_score, reasons, rules, opened_by, opened_at, decide_by, notes, updated_at, version,
                         created_position)
SELECT case_id, 'open', source, subject, account_id, user_id, counterparty, currency, amount, risk_score, reasons,
       ARRAY(SELECT json_array_elements_text(rules)), opened_by, opened_at, decide_by, '[]', opened_at, 1,
       created_position
  FROM json_to_recordset(%s::json) AS r (
       case_id text, source text, subject text, account_id text, user_id text, counterparty text, currency text,
       amount bigint, risk_score int, reasons jsonb, rules json, opened_by text, opened_at timestamptz,
       decide_by timestamptz, created_position bigint)
"""

# What changed, null where it did not, and the notes that were added.
CHANGE: LiteralString = """
UPDATE fraud_cases AS c
   SET status = COALESCE(r.status, c.status),
       assignee = COALESCE(r.assignee, c.assignee),
       escalated_at = COALESCE(r.escalated_at, c.escalated_at),
       decided_at = COALESCE(r.decided_at, c.decided_at),
       decided_by = COALESCE(r.decided_by, c.decided_by),
       decision_note = COALESCE(r.decision_note, c.decision_note),
       frozen = c.frozen OR COALESCE(r.frozen, false),
       notes = c.notes || r.notes,
       updated_at = r.updated_at,
       version = r.version
  FROM json_to_recordset(%s::json) AS r (
       case_id text, status text, assignee text, escalated_at timestamptz, decided_at timestamptz, decided_by text,
       decision_note text, frozen boolean, notes jsonb, updated_at timestamptz, version bigint)
 WHERE c.case_id = r.case_id
"""


def apply(batch: Batch) -> list[Statement]:
    """Cases that were opened, then what happened to them and to others."""
    opened: list[Row] = []
    changed: dict[str, Row] = {}
    for seen in batch.events:
        if isinstance(seen.event, CaseOpened):
            opened.append(_opened(seen, seen.event))
            continue
        row = changed.setdefault(seen.id, {"case_id": seen.id, "notes": []})
        row["updated_at"], row["version"] = seen.at, seen.version
        match seen.event:
            case CaseAssigned(analyst=analyst):
                row["assignee"] = analyst
            case CaseNoteAdded(note=note, by=by):
                row["notes"].append({"at": seen.at, "by": by, "note": note})
            case CaseEscalated(reason=reason, by=by):
                row |= {"status": "escalated", "escalated_at": seen.at}
                row["notes"].append({"at": seen.at, "by": by, "note": f"escalated: {reason}"})
            case CaseApproved(by=by, note=note):
                row |= {"status": "approved", "decided_at": seen.at, "decided_by": by, "decision_note": note}
            case CaseRejected(by=by, note=note):
                row |= {"status": "rejected", "decided_at": seen.at, "decided_by": by, "decision_note": note}
            case CaseWithdrawn(reason=reason):
                row |= {"status": "withdrawn", "decided_at": seen.at, "decision_note": reason}
            case CaseAccountFrozen():
                row["frozen"] = True
            case _:
                raise AssertionError(f"not an event of a fraud case: {seen.event!r}")
    made = ((OPEN, opened), (CHANGE, list(changed.values())))
    return [Statement(sql, rows) for sql, rows in made if rows]


def _opened(seen: Seen, event: CaseOpened) -> Row:
    return {
        "case_id": seen.id,
        "source": event.source,
        "subject": event.subject,
        "account_id": event.account_id,
        "user_id": event.user_id,
        "counterparty": event.counterparty,
        "currency": None if event.amount is None else event.amount.currency,
        "amount": None if event.amount is None else event.amount.minor,
        "risk_score": event.risk_score,
        "reasons": event.reasons,
        "rules": event.rules,
        "opened_by": event.by,
        "opened_at": seen.at,
        "decide_by": event.decide_by,
        "created_position": seen.record.position,
    }


VIEW = View("fraud_cases", 1, ("fraud_cases",), TABLES, wanted(FRAUD_CASE, get_args(FraudCaseEvent)), apply)
