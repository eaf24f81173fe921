"""Transfer ids are the same each time a file is read, and never the same for two transfers of it."""

from __future__ import annotations

import pickle
import re

from hypothesis import given
from hypothesis import strategies as st

from payfiles.errors import PaymentFileError, Problem
from payfiles.ids import transfer_id
from payfiles.read import read_payment_file

HEADER = "end_to_end_id,from,to,amount,currency\n"


def ids_of(rows: str) -> list[str]:
    return [item.transfer_id for item in read_payment_file((HEADER + rows).encode()).items]


def test_ids_never_change() -> None:
    """These are written in the log of everybody who ever imported a file: another rule would pay twice."""
    assert transfer_id("MSG-1", "INV/2026/7") == "INV-2026-7-2b4ab599aea4808e1fafbb55"
    assert transfer_id("MSG-1", "NOTPROVIDED", "PMT-1", "I-1", "2") == "NOTPROVIDED-3789e9920b4b34a5ee25a057"


@given(st.text(max_size=60), st.text(max_size=60))
def test_ids_are_safe_to_use_anywhere(message_id: str, end_to_end_id: str) -> None:
    identity = transfer_id(message_id, end_to_end_id)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", identity)
    assert identity == transfer_id(message_id, end_to_end_id)
    assert identity != transfer_id(message_id + "x", end_to_end_id)
    assert identity != transfer_id(message_id, end_to_end_id, "")


def test_where_one_part_ends_and_the_next_begins_matters() -> None:
    assert transfer_id("a", "bc").split("-")[-1] != transfer_id("ab", "c").split("-")[-1]


def test_a_repeated_end_to_end_id_gives_different_ids_the_same_each_time() -> None:
    rows = "# message_id=M\nSAME,a,b,1.00,EUR\nSAME,a,b,1.00,EUR\nOTHER,a,b,1.00,EUR\n"
    file = read_payment_file((HEADER + rows).encode(), name="pay.csv")
    first, second, other = (item.transfer_id for item in file.items)
    assert len({first, second, other}) == 3
    assert ids_of(rows) == [first, second, other]
    assert other == transfer_id("M", "OTHER"), "those that do not repeat keep their plain id"
    assert file.warnings == (
        Problem(
            "repeated_end_to_end_id",
            "end-to-end id SAME occurs 2 times: each is taken as a payment of its own",
            "pay.csv",
        ),
    )


def test_not_provided_may_repeat_without_a_warning() -> None:
    rows = "NOTPROVIDED,a,b,1.00,EUR\nNOTPROVIDED,a,b,1.00,EUR\n"
    assert len(set(ids_of(rows))) == 2
    assert read_payment_file((HEADER + rows).encode()).warnings == ()


def test_the_error_survives_a_process_boundary() -> None:
    error = PaymentFileError("code", "message", "file:1", (Problem("a", "b", "c"), Problem("d", "e", "f")))
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.code, again.message, again.location, again.problems) == (
        error.code,
        error.message,
        error.location,
        error.problems,
    )
    assert str(again) == "file:1: message"
