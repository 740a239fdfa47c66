"""The JSONPath subset of batch transform's filters (spec: batch-transform.md section 5).

    $   .name   .*   [*]   ['a','b']   [n]   [n,m]   [a:b]   [a:]   [:b]   and mixtures such as [0,5:]

Rules: negative indexes count from the end; the end of a slice is exclusive (AWS's guide contradicts itself
here; every JSONPath library has it so). What is not there is an error, except beyond the end of a slice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sagestead.domain.errors import Invalid

Span: TypeAlias = "int | tuple[int | None, int | None]"

_NAME = re.compile(r"[^\s.\[\]'\"*,:$()?@]+")
_QUOTED = re.compile(r"\s*(?:'([^']*)'|\"([^\"]*)\")\s*")
_SPAN = re.compile(r"\s*(-?\d{1,9})?\s*(:)?\s*(-?\d{1,9})?\s*")


class NotSelected(ValueError):  # noqa: N818 - it says what is not there
    """A value has nothing at the place that a path names."""


@dataclass(frozen=True, slots=True)
class Names:
    """Members of an object; one name gives its value, several an object of them."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Everything:
    """All members of an object or list, as a list."""


@dataclass(frozen=True, slots=True)
class Places:
    """Elements of a list; one index gives the element, anything else a list."""

    spans: tuple[Span, ...]


Step: TypeAlias = Names | Everything | Places


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path. `text` is what the client wrote."""

    text: str
    steps: tuple[Step, ...]

    @property
    def is_everything(self) -> bool:
        """True for `$`: nothing is filtered."""
        return not self.steps

    @property
    def selects_columns(self) -> bool:
        """True when the path can be applied to CSV: at most one step, of indexes."""
        return not self.steps or (len(self.steps) == 1 and not isinstance(self.steps[0], Names))

    def of_row(self, cells: Sequence[str]) -> list[str]:
        """Return the selected cells of a CSV row; raise `NotSelected`."""
        if not self.steps:
            return list(cells)
        (step,) = self.steps
        if isinstance(step, Everything):
            return list(cells)
        if isinstance(step, Names):
            raise NotSelected(f"{self.text} names members, but a CSV row has only columns")
        return [cells[index] for index in self._indexes(step, len(cells))]

    def of_json(self, value: Any) -> Any:  # noqa: ANN401 - a JSON value
        """Return what the path selects of a JSON value; raise `NotSelected`."""
        return self._select(value, self.steps)

    def _select(self, value: Any, steps: tuple[Step, ...]) -> Any:  # noqa: ANN401 - a JSON value
        if not steps:
            return value
        step, rest = steps[0], steps[1:]
        if isinstance(step, Names):
            for name in step.names:
                if not isinstance(value, dict) or name not in value:
                    raise NotSelected(f"{self.text}: there is no {name!r}")
            if len(step.names) == 1:
                return self._select(value[step.names[0]], rest)
            return {name: self._select(value[name], rest) for name in step.names}
        if isinstance(step, Everything):
            if not isinstance(value, dict | list):
                raise NotSelected(f"{self.text}: * needs an object or a list")
            return [
                self._select(each, rest) for each in (value.values() if isinstance(value, dict) else value)
            ]
        if not isinstance(value, list):
            raise NotSelected(f"{self.text}: an index needs a list")
        found = [self._select(value[index], rest) for index in self._indexes(step, len(value))]
        return found[0] if len(step.spans) == 1 and isinstance(step.spans[0], int) else found

    def _indexes(self, step: Places, length: int) -> Iterator[int]:
        for span in step.spans:
            if isinstance(span, tuple):
                yield from range(length)[slice(*span)]
            elif -length <= span < length:
                yield span
            else:
                raise NotSelected(f"{self.text}: there is no element {span} among {length}")


def parse(text: str, field: str = "The filter") -> Path:
    """Return the path; raise `Invalid`, with `field` as the subject of the sentence."""
    if not text.startswith("$"):
        raise _invalid(text, field, "it must begin with $")
    steps: list[Step] = []
    at = 1
    while at < len(text):
        step, at = _step(text, at, field)
        steps.append(step)
    return Path(text, tuple(steps))


def _step(text: str, at: int, field: str) -> tuple[Step, int]:
    """Parse the step at a position; returns it and the position behind it."""
    if text.startswith((".*", "[*]"), at):
        return Everything(), at + (2 if text[at] == "." else 3)
    if text[at] == "." and (name := _NAME.match(text, at + 1)):
        return Names((name[0],)), name.end()
    if text[at] == "[":
        end = text.find("]", at)
        inside = text[at + 1 : end]
        quoted = _quoted(inside)
        if end >= 0 and quoted:
            return Names(quoted), end + 1
        spans = _spans(inside)
        if end >= 0 and spans:
            return Places(spans), end + 1
    raise _invalid(text, field, f"{text[at : at + 20]!r} is not understood")


def _quoted(inside: str) -> tuple[str, ...]:
    """Return the names of `'a','b'`, or nothing when it is not such a list."""
    names: list[str] = []
    at = 0
    while found := _QUOTED.match(inside, at):
        names.append(found[1] if found[1] is not None else found[2])
        if found.end() == len(inside):
            return tuple(names)
        if inside[found.end()] != ",":
            break
        at = found.end() + 1
    return ()


def _spans(inside: str) -> tuple[Span, ...]:
    """Return the indexes and slices of `0,5:`, or nothing when it is not such a list."""
    spans: list[Span] = []
    for part in inside.split(","):
        found = _SPAN.fullmatch(part)
        if found is None or (found[2] is None and (found[1] is None or found[3] is not None)):
            return ()
        start, end = (int(number) if number is not None else None for number in (found[1], found[3]))
        spans.append((start, end) if found[2] or start is None else start)
    return tuple(spans)


def _invalid(text: str, field: str, why: str) -> Invalid:
    return Invalid(
        f"{field} '{text}' is not a supported JSONPath: {why}. "
        "Use $, .name, .*, ['a','b'], [n], [n,m] or [a:b]."
    )
