"""Payment files as CSV: a header line, then one transfer a line.

    # message_id=RENT-2026-11 count=2 control_sum=1300.00 requested_on=2026-11-30
    end_to_end_id,from,to,amount,currency,reference,purpose
    RENT-1,acc-lena,acc-landlord,1000.00,EUR,Rent November,
    RENT-2,CH9300762011623852957,acc-landlord,300,EUR,"Garage, November",

- Columns in any order; `reference` and `purpose` may be left out. `from` and `to` are account ids or IBANs.
- Separated by commas or semicolons (found out from the header line). UTF-8, with or without a byte order mark.
- A line starting with `#` is a remark; one with `=` in it states facts about the file: `message_id`, `count`,
  `control_sum` (the plain sum of all amounts), `requested_on`, `created_at`. All are optional, without spaces.
  It may stand anywhere, so that a program that writes as it goes can put count and sum last.
- Each transfer stands on one line: a quoted field may hold separators, but no line break.
- Without a message_id the id is a hash of what the lines say, however they are quoted, separated or encoded:
  the same payments again are the same file, and nothing is paid twice. To pay the same again on purpose, give a
  message_id.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime

from payfiles import amounts, iban
from payfiles.assemble import assemble, found_in
from payfiles.csvlines import Lines, decode, fields_of, take_apart
from payfiles.errors import Findings, PaymentFileError
from payfiles.model import AccountRef, CreditTransfer, PaymentFile
from payfiles.totals import CountPolicy, Stated, check


def read_csv(data: bytes, name: str, count_policy: CountPolicy = "strict") -> PaymentFile:
    """The file `data`, checked. `name` is for messages. Raises PaymentFileError with up to 20 bad lines."""
    lines = take_apart(decode(data, name), name)
    created_at = _moment(lines, name)
    requested_on = _day(lines, name)
    stated = _stated(lines, name)
    problems, warnings = Findings(), Findings()
    items: list[CreditTransfer] = []
    for number, line in lines.rows:
        location = f"{name}:{number}"
        try:
            item = _transfer(fields_of(line, lines, location), requested_on, location)
        except PaymentFileError as error:
            problems.add_error(error)
            continue
        items.append(item)
        for account in (item.debtor, item.creditor):
            doubt = iban.doubt(account.iban) if account.iban else None
            if doubt:
                warnings.add_once("doubtful_iban", doubt, location)
    # Sums mean nothing while an amount could not be read, so these problems come first.
    problems.raise_if_any(name)
    check(stated, found_in(items), count_policy, problems, warnings)
    problems.raise_if_any(name)
    message_id, _ = lines.facts.get("message_id", (_content_id(items), ""))
    items = [replace(item, message_id=message_id) for item in items]
    return assemble(items, name, message_id=message_id, created_at=created_at, form="csv", warnings=warnings)


def _transfer(fields: dict[str, str], requested_on: date | None, location: str) -> CreditTransfer:
    """One line; message id and transfer id come later, when all lines are known."""
    label = f"{location} ({fields['end_to_end_id']})"
    amount = amounts.money(fields["amount"], fields["currency"], label)
    return CreditTransfer(
        transfer_id="",
        message_id="",
        payment_info_id="",
        instruction_id="",
        end_to_end_id=fields["end_to_end_id"],
        debtor=_account(fields["from"], amount.currency),
        creditor=_account(fields["to"], amount.currency),
        amount=amount,
        reference=fields.get("reference", ""),
        purpose=fields.get("purpose", ""),
        requested_on=requested_on,
    )


def _account(text: str, currency: str) -> AccountRef:
    if iban.looks_like(text):
        return AccountRef(iban.normalise(text), None, "", currency)
    return AccountRef(None, text, "", currency)


def _stated(lines: Lines, name: str) -> Stated:
    count, control_sum = lines.facts.get("count"), lines.facts.get("control_sum")
    _, location = control_sum or count or ("", name)
    return Stated(
        amounts.whole(count[0], "count", count[1]) if count else None,
        amounts.decimal(control_sum[0], "control_sum", control_sum[1]) if control_sum else None,
        location,
        count_name="count",
        sum_name="control_sum",
    )


def _day(lines: Lines, name: str) -> date | None:
    text, location = lines.facts.get("requested_on", ("", name))
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        message = f"requested_on {text[:40]!r} is no date like 2026-01-31"
        raise PaymentFileError("invalid_date", message, location) from None


def _moment(lines: Lines, name: str) -> datetime | None:
    text, location = lines.facts.get("created_at", ("", name))
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        message = f"created_at {text[:40]!r} is no time like 2026-01-31T12:00:00Z"
        raise PaymentFileError("invalid_date", message, location) from None
    return moment.replace(tzinfo=UTC) if moment and not moment.tzinfo else moment


def _content_id(items: list[CreditTransfer]) -> str:
    """A message id from what the lines say: equal payments in equal order give an equal id."""
    content = [
        [
            item.end_to_end_id,
            item.debtor.identifier,
            item.creditor.identifier,
            item.amount.minor,
            item.amount.currency,
            item.reference,
            item.purpose,
            item.requested_on.isoformat() if item.requested_on else "",
        ]
        for item in items
    ]
    digest = hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()
    return f"csv-{digest[:24]}"
