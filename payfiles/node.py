"""Looking things up in an ISO 20022 document, with the place of everything for the error messages."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from payfiles.errors import PaymentFileError

_clark_paths: dict[tuple[str, str], str] = {}


def _clark(namespace: str, path: str) -> str:
    """`Amt/InstdAmt` → `{ns}Amt/{ns}InstdAmt`, remembered: a file asks for the same few paths 100,000 times."""
    key = (namespace, path)
    if key not in _clark_paths:
        _clark_paths[key] = "/".join(f"{{{namespace}}}{tag}" for tag in path.split("/"))
    return _clark_paths[key]


class Node:
    """One element. `path` and `label` say where and what it is: `PmtInf[2]/CdtTrfTxInf[1] (INV-7)`."""

    __slots__ = ("_element", "_name", "_namespace", "label", "path")

    def __init__(self, element: etree._Element, namespace: str, name: str, path: str) -> None:
        self._element = element
        self._namespace = namespace
        self._name = name
        self.path = path
        self.label = ""

    @property
    def location(self) -> str:
        """File, line, path and, once known, the end-to-end id."""
        label = f" ({self.label})" if self.label else ""
        return f"{self._name}:{self._element.sourceline} {self.path}{label}"

    @property
    def own_text(self) -> str:
        """The element's text, without white space around it. Elements within it are refused: 1<x/>00 is not 1."""
        if len(self._element):
            raise self.error("unexpected_element", f"{self.path.rsplit('/', 1)[-1]} may hold text only")
        return (self._element.text or "").strip()

    def attribute(self, key: str) -> str:
        """ "" if it is not there."""
        return (self._element.get(key) or "").strip()

    def error(self, code: str, message: str) -> PaymentFileError:
        """A refusal that says where this element stands."""
        return PaymentFileError(code, message, self.location)

    def find(self, path: str) -> Node | None:
        """The one element there, or None. Two of them are refused: which would be meant?"""
        found = self._element.findall(_clark(self._namespace, path))
        if len(found) > 1:
            raise self.error("repeated_element", f"{path} stands {len(found)} times; it may stand once")
        return self._child(found[0], path) if found else None

    def all(self, path: str) -> Iterator[Node]:
        """All elements there, in the file's order, numbered from 1."""
        for number, element in enumerate(self._element.iterfind(_clark(self._namespace, path)), 1):
            yield self._child(element, f"{path}[{number}]")

    def count(self, path: str) -> int:
        """How many elements are there."""
        return len(self._element.findall(_clark(self._namespace, path)))

    def text(self, *paths: str) -> str:
        """The text at the first of `paths` that has any, "" if none has."""
        for path in paths:
            node = self.find(path)
            if node is not None and node.own_text:
                return node.own_text
        return ""

    def required(self, path: str) -> str:
        """The text there. Raises PaymentFileError `missing_element` if there is none."""
        text = self.text(path)
        if not text:
            raise self.error("missing_element", f"{path} is missing or empty; the format requires it")
        return text

    def _child(self, element: etree._Element, path: str) -> Node:
        child = Node(element, self._namespace, self._name, f"{self.path}/{path}" if self.path else path)
        child.label = self.label
        return child
