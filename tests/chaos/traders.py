"""Clients that trade one share at few prices, so that orders meet, and that have standing orders of seconds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos.clients import PATIENCE_S, Client, Wants, decimal
from tests.chaos.history import Operation
from tests.chaos.world import SHARE
from tests.chaos.world import Trader as Accounts

PRICES = (9_00, 9_50, 10_00, 10_50, 11_00)
AHEAD_S = 2
"""How far ahead a first run lies: a whole second, and not over before the order has arrived."""


class Trader(Client):
    """In the name of any of the world's traders: several of these trade for one, and one meets itself."""

    def wants(self) -> Wants:
        return {
            self.trade: 12,
            self.take: 6,
            self.change: 8,
            self.buy_and_be_gone: 1,
            self.stand: 3,
            self.halt: 1,
        }

    # --- what it can want ----------------------------------------------------

    async def trade(self) -> None:
        """A limit order, which waits or meets another."""
        await self._place(self._trader(), price=self.dice.choice(PRICES), tif=self.dice.choice(("GTC", "DAY")))

    async def take(self) -> None:
        """What can be had at once, at a limit or at any price."""
        if self.dice.random() < 0.5:
            await self._place(self._trader(), tif="IOC")
        else:
            await self._place(self._trader(), price=self.dice.choice(PRICES), tif=self.dice.choice(("IOC", "FOK")))

    async def change(self) -> None:
        """Amended or cancelled at any moment; now and then while it is being placed."""
        order, price = self._id("order"), self.dice.choice(PRICES)
        sent = asyncio.create_task(self._place(self._trader(), price=price, tif="GTC", id_=order))
        await asyncio.sleep(self.dice.choice([0.05, 0.2, 1.0]))
        for _ in range(self.dice.randint(0, 2)):
            wish = {"quantity": self.dice.randint(1, 8), "price": decimal(self.dice.choice(PRICES))}
            del wish[self.dice.choice(("quantity", "price"))]
            await self._about_order(order, "amend", "amend", wish)
        if self.dice.random() < 0.6:
            await self._about_order(order, "cancel_order", "cancel", {})
        await sent

    async def buy_and_be_gone(self) -> None:
        """A buyer whose account for the shares is closed while he waits: his trades cannot settle."""
        user = self._id("user")
        accounts = Accounts(f"{user}-cash", f"{user}-shares")
        for account, currency in ((accounts.cash, "EUR"), (accounts.shares, SHARE)):
            body = {"account_id": account, "user_id": user, "currency": currency}
            opened = Operation(account, "open", account, "/v1/accounts", body)
            if (await self.web.do(opened, PATIENCE_S)).outcome != "acknowledged":
                return
        await self._move("deposit", accounts.cash, "EUR", 60_00)
        await self._place(accounts, side="buy", price=PRICES[-1], tif="GTC")
        close = Operation(self._id("close"), "close", accounts.shares, f"/v1/accounts/{accounts.shares}/close", {})
        await self.web.do(close, PATIENCE_S)

    async def halt(self) -> None:
        """An operator's affair: nobody trades for a moment; orders are sent, amended and taken out all along."""
        for switch in ("halt", "resume"):
            path = f"/v1/instruments/{SHARE}/{switch}"
            about = Operation(self._id(switch), f"{switch}_trading", SHARE, path, {"reason": "a look at it"})
            if (await self.web.do(about, PATIENCE_S)).outcome == "refused":
                return  # somebody else's halt: he resumes it
            await asyncio.sleep(self.dice.choice((0.1, 0.5)))

    async def stand(self) -> None:
        """A transfer once, or every second or two; amended, paused, skipped or cancelled on the way, by whim."""
        order, (source, target) = self._id("standing"), self._two("EUR")
        first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=AHEAD_S)
        body: dict[str, Any] = {"standing_order_id": order, "from_account": source, "to_account": target}
        body |= {"amount": decimal(self.dice.randint(1, 5_00)), "currency": "EUR"}
        body |= {"frequency": "once", "first_at": first.isoformat(), "time_zone": "UTC"}
        if self.dice.random() < 0.8:
            every_s = self.dice.choice((1, 2))
            last = first + timedelta(seconds=every_s * self.dice.randint(1, 3))
            body |= {"frequency": "interval", "every_s": every_s, "end_at": last.isoformat()}
        created = Operation(order, "standing_order", order, "/v1/standing-orders", body)
        if (await self.web.do(created, PATIENCE_S)).outcome != "acknowledged":
            return
        whims = ((), ("amend",), ("amend", "amend"), ("skip",), ("pause", "resume"), ("pause",), ("cancel",))
        for wish in self.dice.choice(whims):
            await asyncio.sleep(self.dice.choice((0.2, 1.0)))
            path = f"/v1/standing-orders/{order}/{wish}"
            amount = self.dice.randint(1, 5_00) if wish == "amend" else None
            asked = {} if amount is None else {"amount": decimal(amount)}
            about = Operation(self._id(wish), f"{wish}_standing_order", order, path, asked, amount)
            await self.web.do(about, PATIENCE_S)

    # --- how -----------------------------------------------------------------

    def _trader(self) -> Accounts:
        return self.dice.choice(self.world.traders)

    async def _place(
        self,
        of: Accounts,
        side: str | None = None,
        price: int | None = None,
        tif: str = "GTC",
        id_: str | None = None,
    ) -> Operation:
        """At the market where no price is given."""
        id_ = id_ or self._id("order")
        body: dict[str, Any] = {"order_id": id_, "cash_account": of.cash, "share_account": of.shares}
        body |= {"symbol": SHARE, "side": side or self.dice.choice(("buy", "sell"))}
        body |= {"type": "market" if price is None else "limit", "tif": tif, "quantity": self.dice.randint(1, 5)}
        if price is not None:
            body["price"] = decimal(price)
        return await self.web.do(Operation(id_, "order", id_, "/v1/orders", body), PATIENCE_S)

    async def _about_order(self, order: str, kind: str, action: str, body: dict[str, Any]) -> Operation:
        path = f"/v1/orders/{order}/{action}"
        return await self.web.do(Operation(self._id(action), kind, order, path, body), PATIENCE_S)
