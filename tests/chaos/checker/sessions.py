"""A client's session: it passes the position it has seen, and no answer may be older than that."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from tests.chaos.checker.findings import Findings
from tests.chaos.http import Web

EVERY_S = 0.2


@dataclass
class Session:
    """Over both APIs in turn, about the hot accounts."""

    name: str
    web: Web
    accounts: tuple[str, ...]
    findings: Findings
    seed: int
    position: int = 0
    answers: int = 0
    versions: dict[str, int] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        dice = random.Random(f"{self.seed}:{self.name}")
        while not stop.is_set():
            await self.read(dice.choice(self.accounts))
            await asyncio.sleep(EVERY_S)

    async def read(self, account: str) -> None:
        """One read at the session's position or later. 503 is an answer too: not yet."""
        asked = self.position
        response = await self.web.get(f"/v1/accounts/{account}", min_position=asked)
        if response is None or response.status_code != 200:
            return
        self.answers += 1
        position, version = int(response.headers["projection-position"]), response.json()["version"]
        if position < asked:
            self.findings.add("session", self.name, f"asked for position {asked}, was answered at {position}")
        if version < self.versions.get(account, 0):
            self.findings.add(
                "session", f"{self.name}: {account}", f"version {version} after {self.versions[account]}"
            )
        self.position = max(position, asked)
        self.versions[account] = version
