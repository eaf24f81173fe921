"""The demo's own payment file: a pain.001 with a new message id in each run, written, read and run like any."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from demo.cast import Cast
from domain.money import Money
from payfiles.write import account_ref, instruct, write_pain001

WAGES = {"lena": "2450.00", "omar": "2630.50", "yuki": "2390.75", "bo": "1980.25"}
"""In euros, to the cast's own accounts."""

ABROAD = (
    ("JPY", "9800", "NL91ABNA0417164300"),
    ("KWD", "120.500", "FR1420041010050500013M02606"),
    ("EUR", "640.00", "DE89370400440532013000"),
    ("EUR", "75.90", "GB29NWBK60161331926819"),
)
"""To IBANs that nobody has opened here yet: published examples, no real person's."""

COUNT = len(WAGES) + len(ABROAD)


def employer_iban(run: str) -> str:
    """A made-up Belgian IBAN with right check digits, another one in each run."""
    number = f"{int.from_bytes(run.encode()) % 10**12:012}"
    check = 98 - int(f"{number}111400") % 97  # BE00 in figures: ISO 7064 mod 97-10
    return f"BE{check:02}{number}"


def write_file(cast: Cast, folder: Path) -> Path:
    """Writes `demo-<run>.xml` and says where."""
    message_id = f"DEMO-{cast.run.upper()}"
    now = datetime.now(UTC)
    transfers = []
    lines = [(currency, amount, iban, "supplier") for currency, amount, iban in ABROAD]
    lines += [("EUR", amount, cast.person(name, "EUR"), "wages") for name, amount in WAGES.items()]
    for number, (currency, amount, creditor, what) in enumerate(sorted(lines), 1):
        transfers.append(
            instruct(
                message_id,
                f"{message_id}-{number:03}",
                debtor=account_ref(employer_iban(cast.run), "Harbour Works", currency),
                creditor=account_ref(creditor, f"Payee {number}", currency),
                amount=Money.from_decimal(amount, currency),
                reference=f"{what} {now:%B}",
                purpose="SALA" if what == "wages" else "SUPP",
                requested_on=now.date(),
                payment_info_id=f"PMT-{currency}",
            )
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"demo-{cast.run}.xml"
    path.write_bytes(write_pain001(transfers, message_id=message_id, created_at=now, initiator="Harbour Works"))
    return path
