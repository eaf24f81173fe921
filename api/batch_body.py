"""The body of POST /v1/transfer-batches: a JSON document, or NDJSON with one item a line.

It is written to disk as it comes (a slow sender holds nothing else), then read item by item, so that a batch of
any size takes the memory of one item. What is wrong is told with the number of the item, counted from 1.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Annotated, Any, Final

import orjson
from fastapi import Request
from pydantic import Field, ValidationError

from api.bodies import Body, Details, MoneyBody
from api.problems import Problem, field_error
from domain.batch_items import BatchItem
from domain.errors import InvalidInput
from domain.model import Id, Text

NDJSON: Final = "application/x-ndjson"
IN_MEMORY_BYTES: Final = 1 << 20
MAX_LINE_BYTES: Final = 32 * 1024

BatchId = Annotated[Id, Field(max_length=93)]


class NewItem(MoneyBody):
    """One wished-for transfer. That it is between two accounts is for the batch to find out: it has an outcome."""

    from_account: Id
    to_account: Id
    reference: Text | None = None
    purpose: Text | None = None
    metadata: Details = {}


class NewBatch(Body):
    """The document, but for its items."""

    batch_id: BatchId | None = Field(
        default=None, description="Makes the batch unique. Made up where it is left out."
    )
    atomic: bool = Field(default=False, description="All items, or none.")
    reference: Text | None = None


class NewBatchDocument(NewBatch):
    """What the description says of it."""

    items: list[NewItem] = Field(min_length=1, max_length=100_000)


@dataclass(frozen=True, slots=True)
class Sent:
    """A body that has come in whole."""

    head: NewBatch
    body: IO[bytes]
    document: list[Any] | None
    fingerprint: bytes

    def items(self) -> Iterator[BatchItem]:
        """Raises Problem 422 at the first that is wrong. May be gone through more than once."""
        for number, raw in enumerate(self._raw(), 1):
            yield _item(number, raw)

    def _raw(self) -> Iterator[Any]:
        if self.document is not None:
            yield from self.document
            return
        self.body.seek(0)
        number = 0
        while line := self.body.readline(MAX_LINE_BYTES + 1):
            if not line.strip():
                continue
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise Problem(422, "item_too_large", f"item {number}: a line may have {MAX_LINE_BYTES} bytes")
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                raise Problem(
                    400, "bad_json", f"item {number}: the line is not JSON", field=f"items[{number}]"
                ) from None


@asynccontextmanager
async def received(request: Request, most_json_bytes: int) -> AsyncIterator[Sent]:
    """The body, once all of it is here. Raises Problem. `most_json_bytes`: of a document, read at once."""
    lines = request.headers.get("content-type", "").partition(";")[0].strip().lower() == NDJSON
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as body:
        digest, size = hashlib.sha256(), 0
        async for part in request.stream():
            size += len(part)
            if not lines and size > most_json_bytes:
                detail = f"a JSON document may have {most_json_bytes} bytes: send {NDJSON}"
                raise Problem(413, "body_too_large", detail, headers={"Connection": "close"})
            digest.update(part)
            body.write(part)
        if lines:
            digest.update(str(request.url.query).encode())
            yield Sent(_head(dict(request.query_params)), body, None, digest.digest())
            return
        body.seek(0)
        try:
            document = orjson.loads(body.read())
        except orjson.JSONDecodeError:
            raise Problem(400, "bad_json", "the body is not JSON") from None
        if not isinstance(document, dict) or not isinstance(document.get("items"), list):
            raise Problem(422, "missing_field", "items: a list of items is needed", field="items")
        plain = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        items = document.pop("items")
        yield Sent(_checked(NewBatch, document), body, items, hashlib.sha256(plain).digest())


def _head(query: dict[str, str]) -> NewBatch:
    known = {name: query[name] for name in NewBatch.model_fields if name in query}
    atomic = known.get("atomic", "false")
    if atomic not in ("true", "false"):
        raise Problem(422, "invalid_field", "atomic: true or false is needed", field="atomic")
    return _checked(NewBatch, {**known, "atomic": atomic == "true"})


def _checked(model: type[NewBatch], given: Any) -> NewBatch:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _problem(error, "") from None


def _item(number: int, raw: Any) -> BatchItem:
    if not isinstance(raw, dict):
        raise Problem(422, "invalid_field", f"item {number}: an object is needed", field=f"items[{number}]")
    try:
        item = NewItem.model_validate(raw)
    except ValidationError as error:
        raise _problem(error, f"item {number}: ", f"items[{number}].") from None
    except InvalidInput as error:
        message, field = f"item {number}: {error.message}", f"items[{number}].{error.field or ''}".rstrip(".")
        told = {"field": field, "code": error.code, "message": message}
        raise Problem(422, error.code, message, field=field, errors=[told]) from None
    return BatchItem(
        number, item.from_account, item.to_account, item.money, item.reference, item.purpose, item.metadata
    )


def _problem(error: ValidationError, which: str, prefix: str = "") -> Problem:
    errors = []
    for one in error.errors():
        found = field_error({**one, "loc": ("body", *one["loc"])})
        errors.append(
            {**found, "field": f"{prefix}{found['field']}".rstrip("."), "message": which + found["message"]}
        )
    first = errors[0]
    return Problem(422, first["code"], first["message"], field=first["field"] or None, errors=errors)
