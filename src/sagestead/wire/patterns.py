r"""AWS's patterns: regular expressions in Java's syntax, translated to Python's.

Rule: the translation keeps Java's meaning: `.` stops at every line terminator, `\d`, `\w` and `\s` are
ASCII, `\p{L}` is a Unicode category, and a dash next to a class escape is a dash. A pattern is always
matched against the whole string.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby

_TOKEN = re.compile(
    r"\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u(?P<unit>[0-9a-fA-F]{4})"
    r"|\\p\{(?P<property>\w+)\}"
    r"|(?P<end>\$|\\z)(?:\{[\d,]+\})?"
    r"|(?P<text>\\.|.)",
    re.DOTALL,
)
_ANY = r"[^\n\r\x85\u2028\u2029]"
_POSIX = {
    "ASCII": r"\x00-\x7f",
    "Alnum": "a-zA-Z0-9",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Print": r"\x20-\x7e",
}
_CLASS_ESCAPES = frozenset({r"\w", r"\d", r"\s", r"\W", r"\D", r"\S"})
_SPECIAL_IN_CLASS = frozenset("[&~|")
_SAME_LANGUAGE = {
    # As AWS writes it, this one takes exponential time to refuse a string.
    "[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?": "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
}


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern for `fullmatch`."""
    return re.compile("".join(_translate(_SAME_LANGUAGE.get(pattern, pattern))), re.ASCII)


def _translate(pattern: str) -> Iterator[str]:
    inside = False
    previous = ""
    for token in _TOKEN.finditer(pattern):
        text = token["text"]
        if text is None:
            piece = _escape(token, inside=inside)
        elif not inside:
            piece = _ANY if text == "." else text
            inside = text == "["
        elif text == "]":
            piece, inside = text, False
        elif (text == "-" and previous in _CLASS_ESCAPES) or text in _SPECIAL_IN_CLASS:
            piece = "\\" + text
        else:
            piece = text
        yield piece
        previous = token[0]


def _escape(token: re.Match[str], *, inside: bool) -> str:
    r"""Return what a `\u` pair, `\u` unit, `\p{…}`, `$` or `\z` is in Python."""
    if token["property"]:
        ranges = _POSIX.get(token["property"]) or _categories()[token["property"]]
        return ranges if inside else f"[{ranges}]"
    if token["unit"]:
        return f"\\u{token['unit']}"
    if token["high"]:
        point = 0x10000 + ((int(token["high"], 16) - 0xD800) << 10) + int(token["low"], 16) - 0xDC00
        return f"\\U{point:08x}"
    if token["end"] == r"\z":
        return r"\Z"
    return r"\$" if inside else "$"


@cache
def _categories() -> dict[str, str]:
    """Return the ranges of the first letter of each Unicode category, ready for a character class.

    Planes 4 to 13 are unassigned and 15 to 16 are private use: neither holds a letter or a mark.
    """
    points = [*range(0x40000), *range(0xE0000, 0xF0000)]
    runs: dict[str, list[str]] = {}
    for (major, _), run in groupby(
        enumerate(points), lambda pair: (unicodedata.category(chr(pair[1]))[0], pair[1] - pair[0])
    ):
        members = [point for _, point in run]
        runs.setdefault(major, []).append(f"\\U{members[0]:08x}-\\U{members[-1]:08x}")
    return {sys.intern(major): "".join(ranges) for major, ranges in runs.items()}
