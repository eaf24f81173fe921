"""The same seed throws the same faults at the same times, and every kind is among them."""

from __future__ import annotations

import pytest

from tests.chaos.clients import decimal
from tests.chaos.faults import ACTS
from tests.chaos.proxy import Commits
from tests.chaos.report import quantile
from tests.chaos.schedule import KINDS, kinds_of, plan


def test_a_seed_replays_its_schedule() -> None:
    first, again, other = (plan(seed, 1800, list(KINDS), 4) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_every_kind_and_target_comes_before_any_comes_again() -> None:
    every = [(kind, target) for kind, one in KINDS.items() for target in one.targets]
    episodes = plan(3, 1800, list(KINDS), 4)
    assert sorted((one.kind, one.target) for one in episodes[: len(every)]) == sorted(every)
    assert all(one.at_s + one.lasts_s <= 1800 for one in episodes)


def test_every_kind_can_be_done() -> None:
    assert ACTS.keys() == KINDS.keys()


def test_faults_by_name() -> None:
    assert kinds_of("none") == []
    assert kinds_of("all") == list(KINDS)
    assert kinds_of("kill,pause") == ["kill", "pause"]
    with pytest.raises(ValueError, match="no such fault: kil"):
        kinds_of("kil")


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


def test_the_proxy_knows_a_commit_when_it_goes_by() -> None:
    """However the bytes are cut up; and not a question for one."""
    commits = Commits()
    start = (80877103).to_bytes(4, "big"), (196608).to_bytes(4, "big") + b"user\0x\0\0"
    for byte in b"".join(message(b"", body) for body in start):
        assert not commits.see(bytes([byte]))
    append = message(b"P", b"s1\0SELECT * FROM append_events($1)\0\0\0")
    question = message(b"P", b"s2\0SELECT 1\0\0\0")
    assert not commits.see(append + question + message(b"B", b"\0s2\0rest"))
    bind = message(b"B", b"\0s1\0rest")
    assert not commits.see(bind[:5])
    assert commits.see(bind[5:])
    assert commits.see(message(b"Q", b"COMMIT\0"))
    assert not commits.see(message(b"Q", b"BEGIN\0"))


def test_amounts_and_quantiles() -> None:
    assert decimal(5) == "0.05"
    assert decimal(1234) == "12.34"
    assert quantile([], 0.5) is None
    assert quantile([2.0], 0.99) == 2.0
    assert quantile([1.0, 2.0, 3.0], 0.5) == 2.0
