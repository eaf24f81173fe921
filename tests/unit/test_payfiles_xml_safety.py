"""XML attacks are refused with a clear message; nothing is resolved, fetched or expanded."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from payfiles import xmlsafe
from payfiles.errors import PaymentFileError
from payfiles.read import MAX_BYTES, read_payment_file

FIXTURE = (Path(__file__).parents[1] / "fixtures" / "payfiles" / "v03.xml").read_text(encoding="utf-8")
ROOT = '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.03">'


def with_prolog(prolog: str, message_id: str = "MSG/2026/03") -> bytes:
    return FIXTURE.replace(ROOT, prolog + ROOT).replace("MSG/2026/03", message_id).encode()


def refused(data: bytes) -> PaymentFileError:
    with pytest.raises(PaymentFileError) as caught:
        read_payment_file(data, name="evil.xml")
    return caught.value


def test_a_billion_laughs_are_refused_at_once() -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    data = with_prolog(f'<!DOCTYPE Document [<!ENTITY l0 "lol">{levels}]>', "&l11;")
    started = time.monotonic()
    error = refused(data)
    assert error.code == "unsafe_xml"
    assert "DOCTYPE" in error.message
    assert error.location == "evil.xml:2"
    assert time.monotonic() - started < 2


def test_an_external_entity_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TOP-SECRET")
    error = refused(with_prolog(f'<!DOCTYPE Document [<!ENTITY x SYSTEM "{secret.as_uri()}">]>', "&x;"))
    assert error.code == "unsafe_xml"
    assert "SECRET" not in str(error)


def test_nothing_is_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        for prolog in (
            f'<!DOCTYPE Document SYSTEM "{address}">',
            f'<!DOCTYPE Document [<!ENTITY % p SYSTEM "{address}"> %p;]>',
        ):
            assert refused(with_prolog(prolog)).code == "unsafe_xml"
        hint = (
            f'{ROOT[:-1]} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a {address}">'
        )
        assert read_payment_file(FIXTURE.replace(ROOT, hint).encode()).count == 3, "a hint, and only text"
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    "prolog",
    ["<!DOCTYPE Document>", '<!DOCTYPE Document PUBLIC "a" "b">', "<!-- first --><!DOCTYPE Document []>"],
)
def test_any_document_type_is_refused(prolog: str) -> None:
    assert refused(with_prolog(prolog)).code == "unsafe_xml"


def test_a_document_type_hidden_in_another_encoding_is_refused() -> None:
    text = FIXTURE.replace(ROOT, f"<!DOCTYPE Document>{ROOT}").replace('"UTF-8"', '"UTF-16"')
    assert refused(text.encode("utf-16")).code == "unsafe_xml"


def test_an_xinclude_is_refused() -> None:
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/hostname" parse="text"/>'
    error = refused(FIXTURE.replace("MSG/2026/03", f"M{include}").encode())
    assert error.code == "unsafe_xml"
    assert "XInclude" in error.message


def test_an_unknown_entity_is_refused() -> None:
    assert refused(with_prolog("", "&nobody;")).code == "not_well_formed"


@pytest.mark.parametrize(
    "huge",
    ["<a>" * 5000 + "</a>" * 5000, "x" * 11_000_000, f"<!--{'x' * 11_000_000}-->", f"<{'x' * 200_000}/>"],
    ids=["depth", "text", "comment", "name"],
)
def test_what_is_deeper_or_longer_than_any_payment_file_is_refused(huge: str) -> None:
    error = refused(FIXTURE.replace("MSG/2026/03", huge).encode())
    assert error.code == "unsafe_xml"
    assert "far too long" in error.message


def test_a_document_type_that_the_first_look_missed_is_still_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmlsafe, "_refuse_document_type", lambda data, name: None)
    assert refused(with_prolog('<!DOCTYPE Document [<!ENTITY x "y">]>', "&x;")).code == "unsafe_xml"


def test_an_unknown_encoding_is_refused() -> None:
    data = FIXTURE.replace('"UTF-8"', '"no-such-code"').encode()
    assert refused(data).code == "not_well_formed"


def test_a_file_above_the_limit_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.xml"
    with large.open("wb") as file:
        file.write(b"<")
        file.truncate(MAX_BYTES + 1)  # sparse: takes no room on the disk
    with pytest.raises(PaymentFileError) as caught:
        read_payment_file(large)
    assert caught.value.code == "file_too_large"
    assert "50 MB" in caught.value.message


def test_comments_and_instructions_are_only_left_out() -> None:
    data = with_prolog('<?xml-stylesheet href="file:///etc/passwd"?>', "MSG<!-- x -->/2026/03")
    assert read_payment_file(data).message_id == "MSG/2026/03"
