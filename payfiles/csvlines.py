"""A CSV payment file taken apart, line by line: what it states about itself, its columns, its fields."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field

from payfiles.errors import PaymentFileError
from payfiles.model import MAX_ITEMS, MAX_REFERENCE

REQUIRED = ("end_to_end_id", "from", "to", "amount", "currency")
OPTIONAL = ("reference", "purpose")
FACTS = ("message_id", "count", "control_sum", "requested_on", "created_at")
MAX_FIELD = {"reference": MAX_REFERENCE}
_MAX_OTHER_FIELD = 100


@dataclass(slots=True)
class Lines:
    """The file taken apart: facts with their places, the header, and the data lines with their line numbers."""

    facts: dict[str, tuple[str, str]] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    delimiter: str = ","
    rows: list[tuple[int, str]] = field(default_factory=list)


def decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PaymentFileError(
            "not_utf8", "not UTF-8 text: save the file as CSV UTF-8", f"{name}:{line}"
        ) from None


def take_apart(text: str, name: str) -> Lines:
    lines = Lines()
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip("\r")
        if line.startswith("#"):
            _take_facts(line, lines, f"{name}:{number}")
        elif not line.strip(" ,;\t"):
            continue  # spreadsheets end with rows of nothing but separators
        elif not lines.columns:
            _take_header(line, lines, f"{name}:{number}")
        elif len(lines.rows) == MAX_ITEMS:
            raise PaymentFileError(
                "too_many_items", f"more than {MAX_ITEMS} transfers: split it", f"{name}:{number}"
            )
        else:
            lines.rows.append((number, line))
    if not lines.columns:
        raise PaymentFileError("no_header", f"no header line: expected {_example(',')}", name)
    return lines


def _take_facts(line: str, lines: Lines, location: str) -> None:
    if "=" not in line:
        return
    for token in line.lstrip("#").replace(",", " ").replace(";", " ").split():
        key, _, value = token.partition("=")
        if key not in FACTS or not value:
            message = f"{token!r} is not understood: a # line with = may state {', '.join(FACTS)} as key=value"
            raise PaymentFileError("unknown_fact", message, location)
        if key in lines.facts:
            raise PaymentFileError("repeated_fact", f"{key} is stated twice", location)
        lines.facts[key] = (value, location)


def _take_header(line: str, lines: Lines, location: str) -> None:
    lines.delimiter = ";" if line.count(";") > line.count(",") else ","
    columns = [column.strip().lower() for column in _split(line, lines.delimiter, location)]
    missing = [column for column in REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in REQUIRED + OPTIONAL]
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    for code, what, which in (
        ("missing_column", "lacks", missing),
        ("unknown_column", "has unknown", unknown),
        ("repeated_column", "repeats", repeated),
    ):
        if which:
            message = f"the header line {what} {', '.join(map(repr, which))}: expected {_example(lines.delimiter)}"
            raise PaymentFileError(code, message, location)
    lines.columns = columns


def _example(delimiter: str) -> str:
    return delimiter.join(REQUIRED + OPTIONAL)


def _split(line: str, delimiter: str, location: str) -> list[str]:
    try:
        (fields,) = csv.reader([line], delimiter=delimiter, strict=True)
    except csv.Error as error:
        message = f"cannot be read as CSV ({error}): close every quote on its own line"
        raise PaymentFileError("bad_line", message, location) from None
    return fields


def fields_of(line: str, lines: Lines, location: str) -> dict[str, str]:
    fields = [text.strip() for text in _split(line, lines.delimiter, location)]
    if len(fields) != len(lines.columns):
        message = f"{len(fields)} fields, but the header line has {len(lines.columns)}: quote fields that hold "
        raise PaymentFileError("bad_line", f"{message}{lines.delimiter!r}", location)
    named = dict(zip(lines.columns, fields, strict=True))
    for key, text in named.items():
        limit = MAX_FIELD.get(key, _MAX_OTHER_FIELD)
        if key in REQUIRED and not text:
            raise PaymentFileError("missing_field", f"{key} is empty", location)
        if len(text) > limit:
            raise PaymentFileError("field_too_long", f"{key} is longer than {limit} characters", location)
        if not text.isprintable():
            raise PaymentFileError("bad_character", f"{key} has a control character", location)
    return named
