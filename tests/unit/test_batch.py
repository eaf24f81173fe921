"""Payment files on their way: the pure parts of commands/batch and demo."""

from __future__ import annotations

import asyncio
import re
from datetime import date
from random import Random

import pytest
from pydantic import TypeAdapter

from commands.batch import in_parallel, order_of
from commands.batch_accounts import account_id_for, taken_by_debtor, user_id_for
from demo import payfile, script
from demo.cast import Cast
from domain.model import Id
from domain.money import Money
from payfiles import iban
from payfiles.model import AccountRef, CreditTransfer


def ref(identifier: str, currency: str = "EUR", name: str = "Jane Roe") -> AccountRef:
    if iban.looks_like(identifier):
        return AccountRef(identifier, None, name, currency)
    return AccountRef(None, identifier, name, currency)


def item(debtor: AccountRef, creditor: AccountRef, amount: str, **more: object) -> CreditTransfer:
    return CreditTransfer(
        transfer_id="T-1",
        message_id="M-1",
        payment_info_id="P-1",
        instruction_id="",
        end_to_end_id="E-1",
        debtor=debtor,
        creditor=creditor,
        amount=Money.from_decimal(amount, debtor.currency),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "identifier", ["a b", "a-b", "a/b", "-x", "é", "x" * 200, "fees", "DE89370400440532013000"]
)
def test_an_opened_accounts_id_is_one_the_domain_takes(identifier: str) -> None:
    account_id = account_id_for(ref(identifier))
    assert TypeAdapter(Id).validate_python(account_id) == account_id
    assert account_id == account_id_for(ref(identifier, name="Somebody Else"))


def test_no_two_identifiers_share_an_account() -> None:
    """Nor does a file's `fees` reach the platform's own `fees-EUR`."""
    alike = ["a b", "a-b", "a/b", "a_b", "A-B", "a--b", "x" * 99, "x" * 100]
    ids = {account_id_for(ref(identifier, currency)) for identifier in alike for currency in ("EUR", "JPY")}
    assert len(ids) == 2 * len(alike)
    assert account_id_for(ref("fees")) != "fees-EUR"


def test_a_holder_has_one_id_in_all_currencies_and_no_name() -> None:
    assert user_id_for(ref("BE68539007547034", "EUR")) == user_id_for(ref("BE68539007547034", "JPY", name="Other"))
    assert "Jane" not in user_id_for(ref("BE68539007547034"))


def test_the_order_says_where_it_comes_from_within_the_domains_limits() -> None:
    long = item(
        ref("a"),
        ref("b"),
        "1.00",
        reference="r" * 600,
        requested_on=date(2026, 12, 1),
        metadata={"charge_bearer": "c" * 600},
    )
    order = order_of(long, "acct:a:EUR", "acct:b:EUR")
    assert order.reference == "r" * 500
    assert order.purpose is None
    assert order.metadata == {
        "message_id": "M-1",
        "payment_info_id": "P-1",
        "end_to_end_id": "E-1",
        "debtor_account": "a",
        "creditor_account": "b",
        "requested_on": "2026-12-01",
        "charge_bearer": "c" * 500,
    }


def test_what_a_file_takes_is_summed_by_account_and_currency() -> None:
    items = [
        item(ref("a"), ref("b"), "1.00"),
        item(ref("a"), ref("c"), "2.50"),
        item(ref("a", "JPY"), ref("c", "JPY"), "700"),
        item(ref("b"), ref("a"), "0.25"),
    ]
    assert taken_by_debtor(items) == {
        ("a", "EUR"): Money(350, "EUR"),
        ("a", "JPY"): Money(700, "JPY"),
        ("b", "EUR"): Money(25, "EUR"),
    }


async def test_in_parallel_keeps_the_order_and_the_width() -> None:
    under_way = most = 0

    async def work(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001 * (number % 3))
        under_way -= 1
        return number * 2

    assert await in_parallel(4, range(50), work) == [number * 2 for number in range(50)]
    assert most == 4
    assert await in_parallel(4, [], work) == []


async def test_in_parallel_ends_everything_at_the_first_failure() -> None:
    ended = started = 0

    async def work(number: int) -> None:
        nonlocal ended, started
        started += 1
        if number == 3:
            raise ConnectionError("away")
        await asyncio.sleep(0.05)
        ended += 1

    with pytest.raises(ConnectionError):
        await in_parallel(4, range(1000), work)
    assert (started, ended) == (4, 0)


@pytest.mark.parametrize("with_rail", [True, False])
def test_a_demo_is_what_its_seed_says(with_rail: bool) -> None:
    cast = Cast("abc234", 200)
    acts = script.write(cast, 192, Random(5), with_rail)
    assert acts == script.write(cast, 192, Random(5), with_rail)
    assert len({act.subject_id for act in acts}) == len(acts) == 192
    assert {"JPY", "KWD"} <= {act.amount.currency for act in acts}
    ends = {act.ends for act in acts}
    assert ends >= {"processed", "failed", "cancelled", "completed", "compensated", "rejected"}
    assert ("stuck" in ends) is with_rail
    with pytest.raises(ValueError, match="special acts"):
        script.write(cast, 20, Random(5), with_rail)


def test_the_demos_employer_has_a_right_iban_of_its_own() -> None:
    found = {payfile.employer_iban(run) for run in ("abc234", "abc235", "zzzzzz", "222222")}
    assert len(found) == 4
    assert all(re.fullmatch(r"BE\d{14}", one) and iban.doubt(one) is None for one in found)
