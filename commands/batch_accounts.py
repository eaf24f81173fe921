"""Which accounts a payment file means, and opening the missing ones for trying a file out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from activities.ledger import Ledger, LedgerCommand, utc_now
from activities.steps import AccountStep
from domain.account import Account, AccountStatus
from domain.account_messages import Deposit, OpenAccount
from domain.errors import Conflict
from domain.leg import Leg
from domain.money import MAX_MINOR, Money
from domain.streams import account_stream
from payfiles.model import AccountRef, CreditTransfer

FindByIban = Callable[[str, str], Awaitable[str | None]]
"""(IBAN, currency) → id of the account that the read views know by it."""

Pocket = tuple[str, str]
"""What a file means by an account: identifier and currency."""

ACTOR = "batch"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]")
_READABLE_CHARS = 40


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why no account could be told. `missing`: opening one would help."""

    code: str
    reason: str
    missing: bool = False


def pocket_of(ref: AccountRef) -> Pocket:
    return ref.identifier, ref.currency


def account_id_for(ref: AccountRef) -> str:
    """The id under which `--open-missing` opens it: always the same, and nobody else's by accident."""
    kind, identifier = ("iban" if ref.iban else "acct"), ref.identifier
    readable = _UNFIT.sub("-", identifier)[:_READABLE_CHARS]
    if readable != identifier:  # two that look alike now must not become one
        readable = f"{readable}-{hashlib.sha256(identifier.encode()).hexdigest()[:12]}"
    return f"{kind}:{readable}:{ref.currency}"


def user_id_for(ref: AccountRef) -> str:
    """Whose it is: one holder per identifier, in all currencies. Names stay out of ids."""
    return f"holder-{hashlib.sha256(ref.identifier.encode()).hexdigest()[:16]}"


class AccountBook:
    """Finds accounts, each once. Only `open` writes."""

    def __init__(self, ledger: Ledger, find_by_iban: FindByIban) -> None:
        self._ledger = ledger
        self._find_by_iban = find_by_iban
        self._found: dict[Pocket, str | Unresolved] = {}

    async def find(self, ref: AccountRef) -> str | Unresolved:
        """Its account id: by IBAN, else the one `--open-missing` opened, else the account with that very id."""
        pocket = pocket_of(ref)
        if pocket not in self._found:
            self._found[pocket] = await self._look_up(ref)
        return self._found[pocket]

    async def open(self, ref: AccountRef, deposit: Money | None, message_id: str) -> bool:
        """Opens it, with its opening deposit in the same append: an interruption leaves both or neither.

        False where it is there already. Raises Conflict `deposit_too_large`.
        """
        if deposit is not None and deposit.minor > MAX_MINOR:
            raise Conflict("deposit_too_large", f"the file takes {deposit} from {ref.identifier}: split the file")
        account_id = account_id_for(ref)
        opening, stream = _opening(account_id, ref), account_stream(account_id)

        def act(leg: Leg) -> None:
            leg.on_account(account_id, opening)
            if deposit is not None:
                reference = f"opening deposit for file {message_id}"[:500]
                leg.on_account(account_id, Deposit(at=opening.at, amount=deposit, reference=reference))

        command = LedgerCommand(
            name="account.open_for_file",
            key=f"{stream}:open-for-file:{hashlib.sha256(message_id.encode()).hexdigest()[:24]}",
            content=opening,
            streams=[stream],
            act=act,
            result=lambda leg: AccountStep.of(leg.account(account_id)),
            returns=AccountStep,
            actor=ACTOR,
        )
        opened = True
        try:
            await self._ledger.run(command)
        except Conflict as refusal:
            if refusal.code != "account_exists":
                raise
            opened = False  # another run of the file was faster
        self._found[pocket_of(ref)] = account_id
        return opened

    async def _look_up(self, ref: AccountRef) -> str | Unresolved:
        if ref.iban:
            known = await self._find_by_iban(ref.iban, ref.currency)
            if known:
                return known
        if (await self._account(own := account_id_for(ref))).status is not AccountStatus.UNOPENED:
            return own
        what = f"IBAN {ref.iban}" if ref.iban else f"id {ref.identifier}"
        if ref.other and _ID.fullmatch(ref.other):
            named = await self._account(ref.other)
            if named.currency == ref.currency:
                return ref.other
            if named.currency:
                reason = f"account {ref.other} is in {named.currency}, the amount in {ref.currency}"
                return Unresolved("currency_mismatch", reason, missing=True)
        return Unresolved("account_not_found", f"no account has {what} in {ref.currency}", missing=True)

    async def _account(self, account_id: str) -> Account:
        account = await self._ledger.state(account_stream(account_id))
        assert isinstance(account, Account)
        return account


def _opening(account_id: str, ref: AccountRef) -> OpenAccount:
    return OpenAccount(
        at=utc_now(),
        account_id=account_id,
        user_id=user_id_for(ref),
        currency=ref.currency,
        iban=ref.iban,
    )


def taken_by_debtor(items: Iterable[CreditTransfer]) -> dict[Pocket, Money]:
    """What the items take from each debtor's account."""
    taken: dict[Pocket, Money] = {}
    for item in items:
        pocket = pocket_of(item.debtor)
        taken[pocket] = taken[pocket] + item.amount if pocket in taken else item.amount
    return taken
