"""Commands about one account: one decision, one append, no workflow. Each has an id: a repeat is harmless."""

from __future__ import annotations

from activities.ledger import Ledger, LedgerCommand, utc_now
from activities.steps import AccountStep
from domain.account import Account, AccountStatus
from domain.account_messages import (
    AccountCommand,
    AccountLimits,
    Close,
    Deposit,
    Freeze,
    OpenAccount,
    SetLimits,
    Unfreeze,
    Withdraw,
)
from domain.currencies import exponent, is_share
from domain.errors import NotFound
from domain.leg import Leg
from domain.money import Money
from domain.streams import account_stream, book_stream
from domain.trading_legs import open_account


def account_key(account_id: str, action: str) -> str:
    """The command id of `open`, or of `deposit:<command_id>` and the like."""
    return f"{account_stream(account_id)}:{action}"


class AccountCommands:
    """`command_id` is the idempotency key: the same one with the same content returns the first answer."""

    def __init__(
        self, ledger: Ledger, actor: str, *, trace: str | None = None, if_version: int | None = None
    ) -> None:
        """`trace` goes with the events; with `if_version` nothing is done to an account at another version."""
        self._ledger = ledger
        self._actor = actor
        self._trace = trace
        self._if_version = if_version

    async def open(
        self,
        account_id: str,
        user_id: str,
        currency: str,
        *,
        overdraft_limit: Money | None = None,
        iban: str | None = None,
        rail: str | None = None,
    ) -> AccountStep:
        """The account id is its own idempotency key."""
        exponent(currency)
        command = OpenAccount(
            at=utc_now(),
            account_id=account_id,
            user_id=user_id,
            currency=currency,
            overdraft_limit=overdraft_limit,
            iban=None if iban is None else iban.replace(" ", "").upper(),
            rail=rail,
        )
        return await self._run(account_id, "open", command)

    async def deposit(
        self, account_id: str, amount: Money, command_id: str, reference: str | None = None
    ) -> AccountStep:
        """Money comes in from outside."""
        return await self._run(
            account_id,
            f"deposit:{command_id}",
            Deposit(at=utc_now(), amount=amount, reference=reference),
        )

    async def withdraw(
        self, account_id: str, amount: Money, command_id: str, reference: str | None = None
    ) -> AccountStep:
        """Money leaves for outside."""
        return await self._run(
            account_id,
            f"withdraw:{command_id}",
            Withdraw(at=utc_now(), amount=amount, reference=reference),
        )

    async def freeze(self, account_id: str, command_id: str, reason: str | None = None) -> AccountStep:
        return await self._run(account_id, f"freeze:{command_id}", Freeze(at=utc_now(), reason=reason))

    async def unfreeze(self, account_id: str, command_id: str, reason: str | None = None) -> AccountStep:
        return await self._run(account_id, f"unfreeze:{command_id}", Unfreeze(at=utc_now(), reason=reason))

    async def set_limits(self, account_id: str, command_id: str, limits: AccountLimits) -> AccountStep:
        """Screening limits of its own; empty ones are everybody's again."""
        command = SetLimits(at=utc_now(), limits=limits, by=self._actor)
        return await self._run(account_id, f"limits:{command_id}", command)

    async def close(self, account_id: str, command_id: str, reason: str | None = None) -> AccountStep:
        return await self._run(account_id, f"close:{command_id}", Close(at=utc_now(), reason=reason))

    async def show(self, account_id: str) -> AccountStep:
        """The account now, from the log itself. Raises NotFound."""
        account = await self._ledger.state(account_stream(account_id))
        assert isinstance(account, Account)
        if account.status is AccountStatus.UNOPENED:
            raise NotFound("account_not_found", f"account {account_id} does not exist", "account_id")
        return AccountStep.of(account)

    async def _run(self, account_id: str, key: str, command: AccountCommand) -> AccountStep:
        stream = account_stream(account_id)
        shares = []
        if isinstance(command, OpenAccount) and is_share(command.currency):
            shares.append(book_stream(command.currency))

        def act(leg: Leg) -> None:
            if isinstance(command, OpenAccount):
                open_account(leg, command)
                return
            try:
                leg.on_account(account_id, command)
            except NotFound:
                raise NotFound("account_not_found", f"account {account_id} does not exist", "account_id") from None

        return await self._ledger.run(
            LedgerCommand(
                name=f"account.{key.partition(':')[0]}",
                key=account_key(account_id, key),
                content=command,
                streams=[stream, *shares],
                act=act,
                result=lambda leg: AccountStep.of(leg.account(account_id)),
                returns=AccountStep,
                actor=self._actor,
                trace=self._trace,
                if_version=self._if_version,
            )
        )
