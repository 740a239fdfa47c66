"""Which objects an input names, and under which names they appear (spec: container-contract.md section 1.5).

Rule: a name in S3 never leads out of the folder that it is staged in.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json
from sagestead.domain.s3_uri import locate

T = TypeVar("T")

MANIFEST_LIMIT = 64 * 1024 * 1024
LONGEST_NAME = 255


class BadInput(Exception):  # noqa: N818 - the job cannot run, and its owner can mend that
    """The input cannot be used; the text is one sentence for FailureReason, without its prefix."""


@dataclass(frozen=True, slots=True)
class Input:
    """One object: its key, and the path that it appears under, relative and with `/`."""

    bucket: str
    key: str
    name: str

    @property
    def uri(self) -> str:
        """`s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


def split_uri(uri: str) -> tuple[str, str]:
    """Return (bucket, key) of an S3 URI; the key may be empty. Raises `BadInput` when it is none."""
    try:
        return locate(uri, "The address")
    except Invalid as fault:
        raise BadInput(fault.sentence) from fault


def under_prefix(bucket: str, prefix: str, keys: Sequence[str]) -> list[Input]:
    """Return the objects of a prefix: named by what follows its last `/`; folder markers are left out."""
    cut = prefix.rfind("/") + 1
    return [Input(bucket, key, key[cut:]) for key in keys if not key.endswith("/")]


def in_channel(source: Json, items: Sequence[Input]) -> list[Input]:
    """Return a channel's objects under the names of its files: a prefix that names a folder is left out.

    `s3://b/p/train` and object `p/train/x.csv` give `x.csv`, as `s3://b/p/train/` does.
    """
    folder = split_uri(source["S3Uri"])[1] + "/"
    if source.get("S3DataType") == "ManifestFile":
        return list(items)
    return [
        replace(item, name=item.key.removeprefix(folder)) if item.key.startswith(folder) else item
        for item in items
    ]


def of_manifest(content: bytes, uri: str) -> list[Input]:
    """Return the objects that a manifest lists, in its order; raise `BadInput` when it is none."""
    try:
        first, *rest = json.loads(content)
        bucket, prefix = split_uri(first["prefix"])
        names = [_text(name) for name in rest]
    except (ValueError, TypeError, KeyError, RecursionError) as fault:
        raise BadInput(
            f'{uri} is not a manifest: it must be a JSON array, first {{"prefix": "s3://…"}}, then keys.'
        ) from fault
    return [Input(bucket, prefix + name, name.lstrip("/")) for name in names]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a stream: an object's bytes, or a text out of the manifest itself."""

    object: Input | None = None
    text: str = ""


def of_augmented_manifest(content: bytes, uri: str, attributes: Sequence[str]) -> list[list[Piece]]:
    """Return the pieces of each line, in the order of `attributes`; raise `BadInput` when it is none.

    A name that ends in `-ref` holds the address of an object; of any other, the value itself is streamed.
    """
    lines = [(number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]
    return [_pieces(line, attributes, f"{uri}, line {number}") for number, line in lines]


def _pieces(line: bytes, attributes: Sequence[str], place: str) -> list[Piece]:
    try:
        values = json.loads(line)
        found = [(name, values[name]) for name in attributes]
        return [_piece(name, value) for name, value in found]
    except (ValueError, TypeError, RecursionError) as fault:
        raise BadInput(f"{place} is not a JSON object whose -ref members are addresses.") from fault
    except KeyError as fault:
        raise BadInput(
            f"{place} has no attribute {fault}; AttributeNames names those that every line has."
        ) from fault


def _piece(name: str, value: object) -> Piece:
    if not name.endswith("-ref"):
        return Piece(text=value if isinstance(value, str) else json.dumps(value))
    bucket, key = split_uri(_text(value))
    return Piece(Input(bucket, key, key))


def file_parts(item: Input) -> list[str]:
    """Return the parts of the path that an object is staged under; raise `BadInput` if no file has it."""
    parts = item.name.split("/")
    for part in parts:
        if part in ("", ".", "..") or "\0" in part or len(part.encode()) > LONGEST_NAME:
            raise BadInput(
                f"The object {item.uri} cannot be a file: {part[:40]!r} is no name of a folder or file. "
                "Give it another key."
            )
    return parts


def in_folder(source: Json, items: Sequence[Input]) -> list[Input]:
    """Return the objects that a file system shows at a path: the one of that name, and what is below it.

    Raises `BadInput` when the address ends in the beginning of a name only.
    """
    _, key = split_uri(source["S3Uri"])
    folder = key if key.endswith("/") or not key else f"{key}/"
    found = [item for item in items if item.key == key or item.key.startswith(folder)]
    if not found:
        raise BadInput(
            f"Input mode FastFile: {source['S3Uri']} is neither a folder nor an object, only the beginning "
            "of names. End the address at a /, or give input mode File."
        )
    return found


def shuffled(items: Sequence[T], seed: int, epoch: int = 0) -> list[T]:
    """Return the items in the order that the seed of a ShuffleConfig gives them in an epoch."""
    order = list(items)
    random.Random(f"{seed}/{epoch}").shuffle(order)  # noqa: S311 - an order, not a secret
    return order


def shared_out(items: Sequence[T], count: int) -> list[list[T]]:
    """Return `count` shares, round robin in order."""
    return [list(items[ordinal::count]) for ordinal in range(count)]


def none_found(uri: str, bucket: str, region: str, role: str | None) -> str:
    """Return the sentence for an input without objects (spec: control-plane.md section 8)."""
    who = f'that the role "{role}" has' if role else "that the role has"
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
        f"exists in the selected region ({region}), that objects exist under that S3 prefix, and "
        f'{who} "s3:ListBucket" permissions on bucket "{bucket}".'
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    value.encode()  # a ValueError when it holds half a character
    return value
