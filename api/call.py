"""What a route has at hand: who asks, on which trace, and the few ways of answering."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Final, NoReturn, TypeVar

import orjson
from fastapi import Depends, Header, Query, Request
from starlette.responses import Response

from api import auth
from api.auth import Principal
from api.documented import Items
from api.idempotency import HEADER, MAX_CHARS, REPLAYED, Asked, derived_id, fingerprint_of
from api.problems import Problem, problem_of
from api.services import Services
from commands.accounts import AccountCommands
from commands.payments import PaymentCommands
from commands.quotes import QuoteCommands
from commands.standing_orders import StandingOrderCommands
from commands.trading import MarketCommands, OrderCommands
from commands.transfer_batches import TransferBatchCommands
from commands.transfers import TransferCommands
from domain.account import Account
from domain.errors import NotFound
from domain.streams import account_stream
from eventstore.events import RecordedEvent
from queries.errors import NotCaughtUp
from queries.errors import NotFound as Missing
from queries.reader import Question

T = TypeVar("T")
MAX_POSITION: Final = 2**62

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="Only if the version is this one (an ETag); 412 otherwise.",
        max_length=300,
        examples=['"3"'],
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=HEADER,
        description="A repeat with the same key and body gets the first answer again; another body 422.",
        min_length=1,
        max_length=MAX_CHARS,
        pattern=r"^[\x21-\x7e]+$",
        examples=["order-4711"],
    ),
]


class Call:
    """One request, past the edge."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.services: Services = request.app.state.services
        self.who: Principal = request.state.principal
        self.trace: str = request.state.trace
        self.correlation_id: str = request.state.correlation_id

    # --- commands on behalf of this caller ---------------------------------

    def accounts(self, if_version: int | None = None) -> AccountCommands:
        return AccountCommands(self.services.books.ledger, self.who.actor, trace=self.trace, if_version=if_version)

    @property
    def payments(self) -> PaymentCommands:
        return PaymentCommands(self.services.temporal, self.services.books.ledger, self.services.settings)

    @property
    def transfers(self) -> TransferCommands:
        return TransferCommands(self.services.temporal, self.services.books.ledger, self.services.settings)

    @property
    def orders(self) -> OrderCommands:
        return OrderCommands(self.services.temporal, self.services.books.ledger, self.services.settings)

    @property
    def market(self) -> MarketCommands:
        return MarketCommands(self.services.books.ledger, self.who.actor, trace=self.trace)

    @property
    def standing_orders(self) -> StandingOrderCommands:
        return StandingOrderCommands(self.services.temporal, self.services.books.ledger, self.services.settings)

    @property
    def batches(self) -> TransferBatchCommands:
        return TransferBatchCommands(self.services.temporal, self.services.books, self.services.settings)

    @property
    def quotes(self) -> QuoteCommands:
        services = self.services
        return QuoteCommands(
            services.books.ledger, services.rates, services.settings.fx, self.who.actor, self.trace
        )

    def new_id(self, prefix: str) -> str:
        """An id for what the caller gave none: the same at every repeat under the same Idempotency-Key."""
        return f"{prefix}_{self._id}"

    @cached_property
    def _id(self) -> str:
        key = self.request.headers.get(HEADER)
        return derived_id(self.who.key_id, key if key is not None else f"\0{self.correlation_id}\0{self.trace}")

    # --- who may what -------------------------------------------------------

    def must_be_unbound(self, what: str) -> None:
        """Raises Problem 403 for a key that is bound to a user."""
        if self.who.user_id is not None:
            raise Problem(403, "not_for_user_keys", f"a key that is bound to a user may not {what}")

    def not_there(self, detail: str) -> NoReturn:
        """As of something that does not exist."""
        raise Missing(detail)

    async def must_own(self, account_id: str, field: str | None) -> None:
        """Raises NotFound, as for an account that is not there, where it is somebody else's."""
        if self.who.user_id is None:
            return
        account = await self.services.books.ledger.state(account_stream(account_id))
        assert isinstance(account, Account)
        if account.user_id != self.who.user_id:
            raise NotFound("account_not_found", f"account {account_id} does not exist", field)

    # --- answers -----------------------------------------------------------

    async def ask(
        self,
        question: Question[T],
        *,
        seen_by: Callable[[T], Sequence[str | None]] | None = None,
        missing: str = "",
        etag: bool = False,
        shown: Callable[[T], object] | None = None,
    ) -> Response:
        """A question's answer and its position, once the views are where the caller wants them.

        What belongs to none of the caller's users (`seen_by`) is not there, in the very words of `missing`.
        """
        value, headers = await self.found(question)
        if seen_by is not None and not self.who.sees(*seen_by(value)):
            raise Missing(missing)
        if etag:
            headers["ETag"] = etag_of(value.version)  # type: ignore[attr-defined]
            if self.request.headers.get("if-none-match") == headers["ETag"]:
                return Response(status_code=304, headers=headers)
        return answer(shown(value) if shown else value, headers=headers)

    async def found(self, question: Question[T]) -> tuple[T, dict[str, str]]:
        """A question's answer, and the headers that say at which position it is right."""
        await self._wait_for(question.views)
        answered = await self.services.reader.ask(question)
        return answered.value, {
            "Projection-Position": str(answered.position),
            "Projection-Lag-Events": str(answered.lag_events),
        }

    async def ask_items(self, question: Question[tuple[T, ...]]) -> Response:
        """A question that is answered with a list of one page."""
        return await self.ask(question, shown=Items)

    async def written(
        self,
        value: object,
        last: RecordedEvent,
        status: int,
        append: Sequence[RecordedEvent] | None = None,
        /,
        **headers: str,
    ) -> Response:
        """The answer to a write: what stands in the log, the version of its `last` event, and the position that
        its append ends at: a read from there on shows all of it, the accounts too.
        """
        whole = append or await self.services.lookups.append_of(last)
        position = (await self.numbered(whole))[-1].position
        told = {"ETag": etag_of(last.version), **{name.replace("_", "-"): text for name, text in headers.items()}}
        if position is not None:
            told["Event-Position"] = str(position)
        return answer(value, status, told)

    async def numbered(self, append: Sequence[RecordedEvent]) -> Sequence[RecordedEvent]:
        """One append's events with their positions, which follow each other, if they get them in time."""
        last = append[-1]
        if last.position is not None:
            return append
        position = await self.services.positions.wait(last.id, self.services.api.position_timeout_s)
        if position is None:
            return append
        return [event._replace(position=position - last.id + event.id) for event in append]

    async def once(
        self,
        work: Callable[[], Awaitable[Response]],
        business_id: str | None = None,
        *,
        content: bytes | None = None,
        from_log: bool = False,
    ) -> Response:
        """`work`'s answer, or the first one to this very request. `business_id` serves without the header;
        `content` is a hash of the body, where that was not read at once.

        `from_log`: the answer to what has succeeded, once it has a position, follows from the log alone: a repeat
        would make it again.
        """
        key = self.request.headers.get(HEADER)
        if key is None and business_id is None:
            return await work()
        url = self.request.url
        body = await self.request.body() if content is None else content
        asked = Asked(
            key_id=self.who.key_id,
            key=f"k:{key}" if key is not None else f"id:{url.path}:{business_id}",
            fingerprint=fingerprint_of("POST", url.path, url.query, body),
            only_success=key is None,
            from_log=from_log,
        )
        response = await self.services.answers.once(asked, lambda: self._said(work))
        if REPLAYED in response.headers:
            self.services.metrics.replayed.inc()
        return response

    async def _said(self, work: Callable[[], Awaitable[Response]]) -> Response:
        """A refusal is an answer too."""
        try:
            return await work()
        except Exception as error:
            problem = problem_of(error)
            if problem is None:
                raise
            return problem.response(self.request.url.path, self.correlation_id)

    async def _wait_for(self, views: tuple[str, ...]) -> None:
        given = self.request.query_params.get("min_position") or self.request.headers.get("wait-for-position")
        if not views:
            return
        if given is None:
            await self._wait_a_moment(views)
            return
        limit_s = self.services.api.wait_timeout_s
        if await self.services.reached.wait((views, int(given)), limit_s) is None:
            raise NotCaughtUp(f"the view has not reached position {given} within {limit_s:g} s")

    async def _wait_a_moment(self, views: tuple[str, ...]) -> None:
        """Who reads right after a write expects to see it, and the views are milliseconds behind: give them these.

        They are bounded, so that a projector that is away shows as lag and not as slowness.
        """
        head = await self.services.books.store.head()
        end = head.last_position + head.unsequenced_events
        await self.services.reached.wait((views, end), self.services.api.fresh_timeout_s)


def etag_of(version: int) -> str:
    return f'"{version}"'


def must_match(if_match: str | None, version: int) -> None:
    """Raises Problem 412 where the caller wants another version than there is."""
    if if_match is not None and if_match.strip() not in ("*", etag_of(version)):
        raise Problem(412, "version_mismatch", f"the version is {etag_of(version)}, not {if_match[:40]}")


def version_of(if_match: str | None) -> int | None:
    """The version that an If-Match header asks for; 412 for what cannot be one of our ETags."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().strip('"')
    if not text.isdecimal() or len(text) > 18:
        must_match(if_match, -1)
    return int(text)


def answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Dataclasses as JSON; times as RFC 3339 in UTC."""
    body = orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z)
    return Response(body, status, dict(headers or {}), media_type="application/json")


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else str(value)  # a rate, never money


def _for(scope: str) -> Callable[..., Call]:
    def authorised(
        request: Request,
        _min_position: Annotated[int | None, Query(alias="min_position", ge=0, le=MAX_POSITION)] = None,
        _wait_for: Annotated[int | None, Header(alias="Wait-For-Position", ge=0, le=MAX_POSITION)] = None,
    ) -> Call:
        return _checked(request, scope)

    def plain(request: Request, _key: IdempotencyKey = None) -> Call:
        return _checked(request, scope)

    return authorised if scope == auth.READ else plain


def _checked(request: Request, scope: str) -> Call:
    call = Call(request)
    if not call.who.may(scope):
        raise Problem(403, "missing_scope", f"this needs a key with scope {scope}")
    return call


def _operator_read(
    request: Request,
    _min_position: Annotated[int | None, Query(alias="min_position", ge=0, le=MAX_POSITION)] = None,
    _wait_for: Annotated[int | None, Header(alias="Wait-For-Position", ge=0, le=MAX_POSITION)] = None,
) -> Call:
    return _checked(request, auth.OPERATOR)


Reading = Annotated[Call, Depends(_for(auth.READ))]
Writing = Annotated[Call, Depends(_for(auth.WRITE))]
Operating = Annotated[Call, Depends(_for(auth.OPERATOR))]
OperatorReading = Annotated[Call, Depends(_operator_read)]
