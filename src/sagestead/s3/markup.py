"""XML, both ways.

Rule: what is written is exact for any key (control characters become character references); what is read is
bounded by the caller, holds no document type, and is refused with `MalformedXML` when it does not parse.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import NewType, NoReturn
from xml.sax.saxutils import escape

from sagestead.domain.errors import Refusal
from sagestead.wire.http import Response

Markup = NewType("Markup", str)

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
NONE = Markup("")
_REFERENCES = {chr(code): f"&#x{code:X};" for code in [*range(9), *range(11, 32)]} | {"\ufffe": "&#xFFFE;"}
_NUMBER = re.compile(r"[0-9]{1,18}")


def text(value: str) -> Markup:
    """Return character data."""
    return Markup(escape(value, _REFERENCES))


def leaf(name: str, value: str | float | None) -> Markup:
    """Return an element with text; nothing for None."""
    return NONE if value is None else node(name, text(str(value)))


def flag(name: str, value: bool) -> Markup:  # noqa: FBT001 - the element's text
    """Return an element that says `true` or `false`."""
    return leaf(name, "true" if value else "false")


def node(name: str, *children: Markup) -> Markup:
    """Return an element with elements in it."""
    return Markup(f"<{name}>{''.join(children)}</{name}>")


def document(root: str, *children: Markup) -> bytes:
    """Return a whole document in S3's namespace."""
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f'{head}\n<{root} xmlns="{NAMESPACE}">{"".join(children)}</{root}>'.encode("utf-8", "replace")


def answer(root: str, *children: Markup, headers: list[tuple[str, str]] | None = None) -> Response:
    """Return a 200 answer with a document."""
    return Response(200, [("Content-Type", "application/xml"), *(headers or [])], document(root, *children))


def malformed(what: str) -> Refusal:
    """Return the refusal of a document."""
    return Refusal(f"The XML is not well-formed or not what was expected: {what}.", code="MalformedXML")


class _Tree(ET.TreeBuilder):
    """Builds elements; refuses a document type, and with it every entity."""

    def doctype(self, name: str, *_ids: str | None) -> NoReturn:
        raise malformed(f"a document type ({name!r}) is not allowed")


def parse(source: bytes, root: str) -> ET.Element:
    """Return the root element, which must have that name; namespaces are taken off."""
    parser = ET.XMLParser(target=_Tree())  # noqa: S314 - no document type gets past _Tree
    try:
        parser.feed(source)
        element = parser.close()
    except (ET.ParseError, ValueError, LookupError) as error:
        raise malformed(str(error)) from None
    for each in element.iter():
        if isinstance(each.tag, str):
            each.tag = each.tag.rpartition("}")[2]
    if element.tag != root:
        raise malformed(f"the root element is {element.tag!r}, not {root!r}")
    return element


def number_of(element: ET.Element, name: str) -> int | None:
    """Return a child's whole number; None if there is no such child."""
    digits = element.findtext(name)
    if digits is None:
        return None
    if not _NUMBER.fullmatch(digits.strip()):
        raise malformed(f"{name} {digits!r} is not a whole number")
    return int(digits)
