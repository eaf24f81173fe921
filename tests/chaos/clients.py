"""Seeded clients that move money over HTTP: what each wants next follows from the seed and its number."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import Client as Temporal
from temporalio.service import RPCError

from activities.steps import CancelWish
from tests.chaos.cluster import REVIEW_ABOVE
from tests.chaos.history import Operation
from tests.chaos.http import Web
from tests.chaos.world import World
from workflows.transfer import TransferWorkflow

PATIENCE_S = 12.0
"""How long a client insists before it goes on with something else; the operation is asked again at the end."""
PAUSE_S = (0.05, 0.4)
Wants = dict[Callable[[], Awaitable[object]], int]


def decimal(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02}"


@dataclass
class Client:
    """One customer with several accounts and no patience: never waits for one thing before the next."""

    number: int
    seed: int
    world: World
    web: Web
    temporal: Temporal
    dice: random.Random = field(init=False)
    _count: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(f"{self.seed}:{self.number}")

    async def run(self, stop: asyncio.Event) -> None:
        wants = self.wants()
        while not stop.is_set():
            [want] = self.dice.choices(list(wants), weights=list(wants.values()))
            await want()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self.dice.uniform(*PAUSE_S))

    def wants(self) -> Wants:
        """What it may want next, and how often it does."""
        return {
            self.deposit: 10,
            self.withdraw: 8,
            self.pay: 20,
            self.pay_by_hand: 12,
            self.dispute: 3,
            self.transfer: 20,
            self.transfer_in_vain: 6,
            self.transfer_far: 8,
            self.change_of_mind: 10,
            self.strand: 3,
            self.send_batch: 8,
            self.raise_suspicion: 7,
            self.report: 3,
            self.exchange: 8,
        }

    # --- what it can want ----------------------------------------------------

    async def deposit(self) -> None:
        await self._move("deposit", *self._account(), self.dice.randint(1, 30_00))

    async def withdraw(self) -> None:
        await self._move("withdrawal", *self._account(), self.dice.randint(1, 40_00))

    async def pay(self) -> None:
        paid = await self._pay("automatic")
        if paid.outcome == "acknowledged" and self.dice.random() < 0.3:
            for _ in range(self.dice.randint(1, 2)):
                await self._about(paid, "refund", "refunds", self._part_of(paid))

    async def pay_by_hand(self) -> None:
        paid = await self._pay("manual")
        if paid.outcome != "acknowledged":
            return
        for _ in range(self.dice.randint(0, 3)):
            await self._about(paid, "capture", "capture", self._part_of(paid))
        if self.dice.random() < 0.6:
            await self._about(paid, "cancel", "cancel", None)

    async def dispute(self) -> None:
        paid = await self._pay("automatic")
        if paid.outcome != "acknowledged":
            return
        opened = await self._about(paid, "dispute", "disputes", None, reason="never arrived")
        if opened.outcome == "acknowledged":
            outcome = self.dice.choice(["won", "lost"])
            await self._about(paid, "resolve_dispute", "disputes/resolve", None, outcome=outcome)

    async def transfer(self) -> None:
        source, target = self._two("EUR" if self.dice.random() < 0.8 else "USD")
        await self._transfer(source, target, self.dice.randint(1, 60_00))

    async def transfer_in_vain(self) -> None:
        source, _ = self._two("EUR")
        await self._transfer(source, self.world.closed, self.dice.randint(1, 30_00))

    async def transfer_far(self) -> None:
        source, _ = self._two("EUR")
        await self._transfer(source, self.world.far, self.dice.randint(1, 30_00))

    async def change_of_mind(self) -> None:
        """A cancel, as an update or as a signal, that may come before, during or after anything else."""
        source, target = self._two("EUR")
        target = self.dice.choice([target, self.world.far, self.world.closed])
        id_ = self._id("transfer")
        sent = asyncio.create_task(self._transfer(source, target, self.dice.randint(1, 30_00), id_))
        await asyncio.sleep(self.dice.choice([0, 0.01, 0.05, 0.2]))
        if self.dice.random() < 0.5:
            with suppress(RPCError, TimeoutError, RuntimeError):
                handle = self.temporal.get_workflow_handle(f"transfer-{id_}")
                async with asyncio.timeout(2):
                    await handle.signal(TransferWorkflow.cancel, CancelWish(wish_id=f"{id_}-signal"))
        else:
            cancel = self._id("cancel")
            path = f"/v1/transfers/{id_}/cancel"
            await self.web.do(Operation(cancel, "cancel_transfer", id_, path, {}), PATIENCE_S)
        await sent

    async def strand(self) -> None:
        """Money on its way to a bank that refuses it, from an account that is closed meanwhile: it gets stuck."""
        account = self._id("account")
        body = {"account_id": account, "user_id": f"user-{account}", "currency": "EUR"}
        opened = await self.web.do(Operation(account, "open", account, "/v1/accounts", body), PATIENCE_S)
        amount = self.dice.randint(1_00, 9_00)
        if opened.outcome != "acknowledged":
            return
        if (await self._move("deposit", account, "EUR", amount)).outcome != "acknowledged":
            return
        sent = await self._transfer(account, self.world.far_refuses, amount)
        if sent.outcome != "acknowledged" or not await self._becomes(sent.about, "in_transit", "completed"):
            return
        close = Operation(self._id("close"), "close", account, f"/v1/accounts/{account}/close", {})
        await self.web.do(close, PATIENCE_S)
        if await self._becomes(sent.about, "stuck") and self.dice.random() < 0.7:
            target, _ = self._two("EUR")
            resolved = {"action": "return", "to_account": target}
            path = f"/v1/transfers/{sent.about}/resolve"
            await self.web.do(Operation(self._id("resolve"), "resolve", sent.about, path, resolved), PATIENCE_S)

    async def send_batch(self) -> None:
        """Some chunks of transfers; here and there one that is refused, or becomes a transfer of its own."""
        id_, atomic = self._id("batch"), self.dice.random() < 0.4
        # A long one now and then, so that what is asked of it finds it half done.
        count = self.dice.randint(60, 150) if self.dice.random() < 0.2 else self.dice.randint(2, 24)
        items = [self._item(odd=0.3 / count if atomic else 0.1) for _ in range(count)]
        body = {"batch_id": id_, "atomic": atomic, "items": items}
        sent = asyncio.create_task(
            self.web.do(Operation(id_, "batch", id_, "/v1/transfer-batches", body), PATIENCE_S)
        )
        for _ in range(1 + self.dice.choice([0, 1]) if count >= 60 else self.dice.choice([0, 0, 1])):
            await asyncio.sleep(self.dice.choice([0.02, 0.1, 0.3]))
            await self._about_batch(id_, self.dice.choice(["pause", "cancel"]))
            await self._about_batch(id_, "resume")
        await sent

    async def raise_suspicion(self) -> None:
        """Enough to be held for review. Somebody decides, the customer changes his mind, or nobody cares."""
        amount = self.dice.randint(REVIEW_ABOVE + 1, REVIEW_ABOVE + 25_00)
        if self.dice.random() < 0.5:
            held = await self._transfer(*self._two("EUR"), amount)
        else:
            held = await self._pay("automatic", amount)
        if held.outcome != "acknowledged":
            return
        chance = self.dice.random()
        if chance < 0.7:
            await asyncio.sleep(self.dice.choice([0, 0.1, 0.5]))
            await self._about_case(f"{held.kind}-{held.id}", "note", "notes", note="looked at it")
            await self._decide(f"{held.kind}-{held.id}")
        elif chance < 0.85:
            kind = "cancel_transfer" if held.kind == "transfer" else "cancel"
            path = f"/v1/{held.kind}s/{held.id}/cancel"
            await self.web.do(Operation(self._id("cancel"), kind, held.id, path, {}), PATIENCE_S)

    async def report(self) -> None:
        """An analyst's case about an account, which may be frozen for it."""
        account, case = self._id("account"), self._id("case")
        body = {"account_id": account, "user_id": f"user-{account}", "currency": "EUR"}
        opened = await self.web.do(Operation(account, "open", account, "/v1/accounts", body), PATIENCE_S)
        if opened.outcome != "acknowledged":
            return
        about: dict[str, Any] = {"case_id": case, "account_id": account, "risk_score": 70, "reason": "a call"}
        await self.web.do(Operation(case, "open_case", case, "/v1/fraud-cases", about), PATIENCE_S)
        await self._about_case(case, "assign", "assign", analyst="ana")
        if self.dice.random() < 0.5:
            await self._about_case(case, "freeze", "freeze")
        if self.dice.random() < 0.7:
            await self._decide(case)

    async def exchange(self) -> None:
        """A quote, and an order over it; now and then a second, which finds it used, or one that is too late."""
        sold, bought = self.dice.choice([("EUR", "USD"), ("USD", "EUR")])
        quote, amount, short = self._id("quote"), self.dice.randint(2, 20_00), self.dice.random() < 0.3
        body: dict[str, Any] = {"quote_id": quote, "from_currency": sold, "to_currency": bought}
        body |= {"amount": decimal(amount), "valid_for_s": 2 if short else 60}
        offered = await self.web.do(Operation(quote, "quote", quote, "/v1/quotes", body), PATIENCE_S)
        if offered.outcome != "acknowledged":
            return
        if short:
            await asyncio.sleep(self.dice.choice([0, 1.5, 2.5]))
        for _ in range(self.dice.choice([1, 1, 2])):
            kind = self.dice.choice(["transfer", "payment"])
            id_, parties = self._id(kind), [self.dice.choice(self.world.hot[each]) for each in (sold, bought)]
            order = {f"{kind}_id": id_, "from_account": parties[0], "to_account": parties[1], "quote_id": quote}
            order |= {"amount": decimal(amount), "currency": sold}
            await self.web.do(Operation(id_, kind, id_, f"/v1/{kind}s", order, amount), PATIENCE_S)

    # --- how -----------------------------------------------------------------

    def _item(self, odd: float) -> dict[str, str]:
        source, target = self._two("EUR")
        amount = self.dice.randint(1, 3_00)
        if self.dice.random() < odd:
            target = self.dice.choice([self.world.closed, self.world.far, source, "nobody"])
        elif self.dice.random() < odd / 4:
            amount = REVIEW_ABOVE + 1
        return {"from_account": source, "to_account": target, "amount": decimal(amount), "currency": "EUR"}

    async def _about_batch(self, batch: str, what: str) -> Operation:
        kind, path = "cancel_batch" if what == "cancel" else what, f"/v1/transfer-batches/{batch}/{what}"
        return await self.web.do(Operation(self._id(kind), kind, batch, path, {}), PATIENCE_S)

    async def _about_case(self, case: str, kind: str, action: str, **body: object) -> Operation:
        path = f"/v1/fraud-cases/{case}/{action}"
        return await self.web.do(Operation(self._id(kind), kind, case, path, dict(body)), PATIENCE_S)

    async def _decide(self, case: str) -> Operation:
        return await self._about_case(
            case, "decide", "decide", decision=self.dice.choice(["approve", "approve", "reject"])
        )

    def _id(self, what: str) -> str:
        self._count += 1
        return f"{what}-{self.number}-{self._count}"

    def _account(self) -> tuple[str, str]:
        currency = "EUR" if self.dice.random() < 0.8 else "USD"
        return self.dice.choice(self.world.hot[currency]), currency

    def _two(self, currency: str) -> tuple[str, str]:
        source, target = self.dice.sample(self.world.hot[currency], 2)
        return source, target

    def _part_of(self, operation: Operation) -> int | None:
        assert operation.amount is not None
        return self.dice.choice([None, max(operation.amount // 3, 1), self.dice.randint(1, operation.amount)])

    async def _move(self, kind: str, account: str, currency: str, amount: int) -> Operation:
        id_ = self._id(kind)
        body = {"amount": decimal(amount), "currency": currency, "reference": id_}
        path = f"/v1/accounts/{account}/{kind}s"
        return await self.web.do(Operation(id_, kind, account, path, body, amount), PATIENCE_S)

    async def _pay(self, capture: str, amount: int | None = None) -> Operation:
        payer, payee = self._two("EUR")
        id_, amount = self._id("payment"), amount or self.dice.randint(2, 40_00)
        body: dict[str, Any] = {"payment_id": id_, "from_account": payer, "to_account": payee, "capture": capture}
        body |= {"amount": decimal(amount), "currency": "EUR"}
        if capture == "manual" and self.dice.random() < 0.3:
            body["expires_in_s"] = self.dice.randint(1, 20)
        return await self.web.do(Operation(id_, "payment", id_, "/v1/payments", body, amount), PATIENCE_S)

    async def _about(
        self, paid: Operation, kind: str, action: str, amount: int | None, **more: object
    ) -> Operation:
        body = dict(more) if amount is None else {"amount": decimal(amount), **more}
        path = f"/v1/payments/{paid.about}/{action}"
        return await self.web.do(Operation(self._id(kind), kind, paid.about, path, body, amount), PATIENCE_S)

    async def _transfer(self, source: str, target: str, amount: int, id_: str | None = None) -> Operation:
        id_ = id_ or self._id("transfer")
        currency = "USD" if source in self.world.hot["USD"] else "EUR"
        body = {"transfer_id": id_, "from_account": source, "to_account": target}
        body |= {"amount": decimal(amount), "currency": currency}
        return await self.web.do(Operation(id_, "transfer", id_, "/v1/transfers", body, amount), PATIENCE_S)

    async def _becomes(self, transfer: str, *statuses: str) -> bool:
        """Whether it does, within the client's patience."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    response = await self.web.get(f"/v1/transfers/{transfer}")
                    if (
                        response is not None
                        and response.status_code == 200
                        and response.json()["status"] in statuses
                    ):
                        return True
                    await asyncio.sleep(0.2)
        return False
