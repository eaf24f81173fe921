"""Making an ISO 20022 document: elements in its namespace, texts that XML can hold, times in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from lxml import etree

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def new_document(namespace: str) -> etree._Element:
    """An empty <Document>."""
    return etree.Element(f"{{{namespace}}}Document", nsmap={None: namespace})  # type: ignore[dict-item]  # stubs


def add(parent: etree._Element, tag: str, text: str | None = None, limit: int | None = None) -> etree._Element:
    """A new last child in the parent's namespace, its text cut to `limit`. What XML cannot hold becomes U+FFFD."""
    element = etree.SubElement(parent, f"{{{etree.QName(parent).namespace}}}{tag}")
    if text is not None:
        element.text = _NOT_XML.sub("\ufffd", text)[:limit]
    return element


def written(document: etree._Element) -> bytes:
    """UTF-8, indented."""
    return etree.tostring(document, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def zulu(at: datetime) -> str:
    """An ISODateTime in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
