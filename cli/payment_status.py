"""`batch FILE --report out.xml`: a pain.002 status report of what became of a pain.001."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import write_file
from cli.reading import open_reader
from cli.session import Session, usage
from commands.payment_status import refusal_report
from payfiles.errors import PaymentFileError
from payfiles.read import is_xml
from queries.batches import list_batch_items
from queries.paging import MAX_LIMIT
from queries.transfer_results import BatchItemView

VIEWS_WAIT_S = 30.0

ReportOption = Annotated[
    Path | None,
    typer.Option("--report", help="Write a pain.002 status report of a pain.001 file here, refused ones too."),
]


def must_be_possible(report: Path | None, file: Path, as_json: bool) -> None:
    """Before any money moves: there is a pain.001 to report on, and a place for the report."""
    if report is None:
        return
    with file.open("rb") as opened:
        if not is_xml(opened.read(200)):
            raise usage("--report is for pain.001 files: a status report answers one", as_json)
    if report.is_dir() or not report.parent.is_dir():
        raise usage(f"{report} cannot be written", as_json)


def write_refusal(report: Path | None, file: Path, refusal: PaymentFileError, as_json: bool) -> None:
    """Of a file of which nothing was used."""
    if report is not None:
        write_file(report, refusal_report(file.read_bytes(), refusal), as_json)


async def items_of_batch(session: Session, batch_id: str) -> list[BatchItemView]:
    """Every item of a batch that has run, in order, once the views are there."""
    question = list_batch_items(batch_id, limit=MAX_LIMIT)
    async with open_reader(session.info) as reader:
        head = await session.books.store.head()
        await reader.must_reach(question.views, head.last_position + head.unsequenced_events, VIEWS_WAIT_S)
        items: list[BatchItemView] = []
        while True:
            page = (await reader.ask(question)).value
            items += page.items
            if page.next_cursor is None:
                return items
            question = list_batch_items(batch_id, limit=MAX_LIMIT, cursor=page.next_cursor)
