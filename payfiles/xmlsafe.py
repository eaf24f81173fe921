"""XML from strangers: document types, entities, external references, huge trees are refused, never resolved."""

from __future__ import annotations

from xml.parsers import expat

from lxml import etree

from payfiles.errors import PaymentFileError

_XINCLUDE = "{http://www.w3.org/2001/XInclude}*"
_TOO_LARGE = ("XML_PARSE_HUGE", "too long", "too big")
"""How libxml2 words its limits; its error codes mix them with plain syntax errors."""


class _RootReached(Exception):
    """A way to stop, not an error."""


def parse_xml(data: bytes, name: str) -> etree._Element:
    """The root element of `data`. Raises PaymentFileError `unsafe_xml` or `not_well_formed`.

    `xsi:schemaLocation` and the like are only text here: nothing is ever fetched.
    """
    _refuse_document_type(data, name)
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,  # at most 256 levels, 10 MB a text
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        line = error.lineno or 1
        if any(hint in str(error) for hint in _TOO_LARGE):
            message = "deeper than 256 levels, or a text, name or comment far too long for a payment file"
            raise PaymentFileError("unsafe_xml", message, f"{name}:{line}") from None
        message = f"not well-formed XML: {error.msg}. Ask the sender for a whole, unchanged file"
        raise PaymentFileError("not_well_formed", message, f"{name}:{line}") from None
    # Two parsers have now read the prolog; should they ever differ, the second one's word counts too.
    if root.getroottree().docinfo.internalDTD is not None:
        raise _document_type(name, 1)
    include = next(root.iter(_XINCLUDE), None)
    if include is not None:
        message = "an XInclude points to another document; payment files must be complete in themselves"
        raise PaymentFileError("unsafe_xml", message, f"{name}:{include.sourceline}")
    return root


def _refuse_document_type(data: bytes, name: str) -> None:
    """Reads up to the root element only: a document type can stand nowhere else, and with it go all entities."""
    parser = expat.ParserCreate()

    def on_document_type(*_: object) -> None:
        raise _document_type(name, parser.CurrentLineNumber)

    def on_element(*_: object) -> None:
        raise _RootReached

    parser.StartDoctypeDeclHandler = on_document_type
    parser.StartElementHandler = on_element
    try:
        parser.Parse(data, True)
    except (_RootReached, expat.ExpatError):
        pass  # what is not well-formed is said better by the parser that reads all of it
    except (LookupError, ValueError) as error:
        raise PaymentFileError("not_well_formed", f"unknown encoding: {error}; save it as UTF-8", name) from None


def _document_type(name: str, line: int) -> PaymentFileError:
    return PaymentFileError(
        "unsafe_xml",
        "the file has a document type (DOCTYPE), which may define entities or point to other files; "
        "ISO 20022 messages have none: remove it or ask the sender for a clean file",
        f"{name}:{line}",
    )
