"""The way in: a payment file of any format, and a statement of any."""

from __future__ import annotations

from pathlib import Path

from payfiles.camt053 import read_camt053
from payfiles.csvfile import read_csv
from payfiles.errors import PaymentFileError
from payfiles.model import PaymentFile
from payfiles.pain001 import read_pain001
from payfiles.statement import StatementFile
from payfiles.statement_csv import read_statement_csv
from payfiles.totals import CountPolicy

MAX_BYTES = 50_000_000

_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # byte order marks of UTF-8 and UTF-16


def read_payment_file(
    source: Path | str | bytes, *, name: str | None = None, count_policy: CountPolicy = "strict"
) -> PaymentFile:
    """Read a pain.001 or CSV file from a path, or from its bytes; `name` stands in messages instead of the path.

    `count_policy`: see `totals.CountPolicy`. Raises PaymentFileError, and then nothing of the file may be used.
    """
    data, shown = _content(source, name)
    if is_xml(data):
        return read_pain001(data, shown, count_policy)
    return read_csv(data, shown, count_policy)


def read_statements(
    source: Path | str | bytes, *, name: str | None = None, currency: str = ""
) -> tuple[StatementFile, ...]:
    """Read a camt.053 message, which may hold several statements, or a CSV statement.

    `currency`: of CSV lines that say none. Raises PaymentFileError, and then nothing of the file may be used.
    """
    data, shown = _content(source, name)
    if is_xml(data):
        return read_camt053(data, shown)
    return (read_statement_csv(data, shown, currency),)


def _content(source: Path | str | bytes, name: str | None) -> tuple[bytes, str]:
    shown = name or ("<input>" if isinstance(source, bytes) else str(source))
    data = source if isinstance(source, bytes) else _bytes_of(Path(source), shown)
    if len(data) > MAX_BYTES:
        raise PaymentFileError("file_too_large", f"larger than {MAX_BYTES // 1_000_000} MB: split it", shown)
    if not data.strip():
        raise PaymentFileError("empty_file", "the file is empty", shown)
    return data, shown


def _bytes_of(path: Path, shown: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PaymentFileError("cannot_read", f"cannot be read: {reason}", shown) from None


def is_xml(data: bytes) -> bool:
    """Its first visible character is `<`, in whatever encoding."""
    start = data[:200]
    for mark in _MARKS:
        start = start.removeprefix(mark)
    return start.replace(b"\0", b"").lstrip().startswith(b"<")
