"""Every finding names the command that mends it, and `repair` keeps what is promised in its name."""

from __future__ import annotations

from operations.remedies import DAMAGED, REMEDIES, REPAIR, remedy
from operations.repair import _PLANS


def test_repair_does_what_it_is_named_for() -> None:
    named = {code for code, command in REMEDIES.items() if command == REPAIR}
    assert named - {"dead_letter_follower"} == set(_PLANS)


def test_a_damaged_log_is_no_case_for_repair() -> None:
    for code in ("hash_mismatch", "chain_broken", "wrong_balance", "conservation"):
        assert remedy(code) == DAMAGED
