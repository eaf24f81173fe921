"""`starter.py batch FILE --report`: a status report of what was paid, of what was not, of a file refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lxml import etree

from domain.money import Money
from payfiles.write import account_ref, instruct, write_pain001
from tests.e2e.api import World
from tests.fixtures.processes import ROOT
from tests.fixtures.running import RunningStack

SCHEMA = etree.XMLSchema(etree.parse(ROOT / "tests" / "fixtures" / "schemas" / "pain.002.001.03.xsd"))
NOW = datetime.now(UTC)


def test_a_report_says_what_became_of_each_transfer(
    world: World, running_stack: RunningStack, tmp_path: Path
) -> None:
    """One settles, one has no account, one is more than there is: one by one, and as one batch."""
    payer, payee = world.account("payer", "10.00"), world.account("payee")
    for way, options in (("single", ()), ("whole", ("--as-one",))):
        path, out = tmp_path / f"{way}.xml", tmp_path / f"{way}-status.xml"
        path.write_bytes(_file(f"{world.run}-{way}", payer, payee))
        said = running_stack.command("batch", str(path), "--report", str(out), "--json", *options)
        assert said.code == 1, said.err
        root = etree.fromstring(out.read_bytes())
        assert SCHEMA.validate(root), SCHEMA.error_log
        told = [
            [x.findtext("{*}OrgnlEndToEndId"), x.findtext("{*}TxSts"), x.findtext("{*}StsRsnInf/{*}Rsn/{*}Cd")]
            for x in root.iter("{*}TxInfAndSts")
        ]
        assert told == [["E-1", "ACSC", None], ["E-2", "RJCT", "AC01"], ["E-3", "RJCT", "AM04"]]
        assert [x.text for x in root.iter("{*}GrpSts")] == ["PART"]
    path.write_bytes(path.read_bytes().replace(b"<CtrlSum>506.00", b"<CtrlSum>507.00"))
    refused = running_stack.command("batch", str(path), "--report", str(out), "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "control_sum_mismatch")
    root = etree.fromstring(out.read_bytes())
    assert SCHEMA.validate(root), SCHEMA.error_log
    assert [root.findtext(f".//{{*}}{tag}") for tag in ("OrgnlMsgId", "GrpSts", "Cd")] == [
        f"{world.run}-whole",
        "RJCT",
        "AM10",
    ]
    path.write_text("end_to_end_id,from,to,amount,currency\n")
    assert running_stack.command("batch", str(path), "--report", str(out)).code == 2


def _file(message_id: str, payer: str, payee: str) -> bytes:
    amounts = (("E-1", payee, 100), ("E-2", f"{payee}-x", 500), ("E-3", payee, 50_000))
    return write_pain001(
        [
            instruct(
                message_id,
                name,
                debtor=account_ref(payer, "P", "EUR"),
                creditor=account_ref(creditor, "C", "EUR"),
                amount=Money(minor, "EUR"),
                requested_on=NOW.date(),
            )
            for name, creditor, minor in amounts
        ],
        message_id=message_id,
        created_at=NOW,
        initiator="Tern",
    )
