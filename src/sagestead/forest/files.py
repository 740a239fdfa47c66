"""From the bytes of a model file to an `Ensemble`: every format that XGBoost writes, told apart by content.

Rule: the name of a file says nothing and its first bytes decide, as in XGBoost itself. Nothing in a file is
executed, and whatever is wrong with it ends in one sentence (`ModelRefused`), in time and memory that the
size of the file bounds.
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import Any

from sagestead.domain.refused_model import ModelRefused
from sagestead.forest.binary import read_binary
from sagestead.forest.documents import Malformed, read_json
from sagestead.forest.draft import Draft
from sagestead.forest.ensemble import Ensemble
from sagestead.forest.pickles import booster_state
from sagestead.forest.schema import draft_of, text
from sagestead.forest.soundness import sound
from sagestead.forest.ubjson import read_ubjson

LARGEST = 2 << 30
_PICKLE = re.compile(rb"\x80[\x02-\x05]|c(?:copy_?reg|xgboost\.core)\n")
_SNAPSHOT = b"CONFIG-offset:"
_OFFSET = struct.Struct("<q")
_MOST = (1 << 31) - 1


def read(content: bytes, name: str = "the model") -> Ensemble:
    """Return the model in the bytes of a file.

    Args:
        content: the whole file, at most `LARGEST` bytes.
        name: of the file, for the sentence that refuses it.

    Raises:
        ModelRefused: it is no sound model of XGBoost, or one that is not read exactly; the sentence says why.
    """
    if len(content) > LARGEST:
        raise ModelRefused(f"Model file {name} is larger than {LARGEST} bytes.")
    try:
        draft, source = _draft(content)
        return sound(draft, source)
    except Malformed as error:
        raise ModelRefused(f"Model file {name} cannot be used: {error}.") from None


def _draft(content: bytes) -> tuple[Draft, str]:
    if not _PICKLE.match(content):
        return _plain(content)
    state = booster_state(content)
    handle = state.get("handle")
    if not isinstance(handle, bytes):
        raise Malformed("its pickle holds a Booster without a model")
    draft, source = _plain(handle)
    return _with_state(draft, state), f"pickle of {source}"


def _plain(content: bytes) -> tuple[Draft, str]:
    if content.startswith(_SNAPSHOT):
        return read_binary(_model_of_snapshot(content)), "CONFIG-offset binary"
    if content[:1] == b"{" and content[1:2] in (b'"', b"\n", b" ", b"\r", b"\t"):
        return draft_of(read_json(content)), "JSON"
    if content[:1] == b"{":
        return draft_of(read_ubjson(content)), "UBJSON"
    if content[:4] in (b"binf", b"bs64"):
        return read_binary(content), f"{content[:4].decode()} binary"
    try:
        return read_binary(content), "binary"
    except Malformed as error:
        # The oldest format begins with nothing of its own, so whatever is no other format is read as it.
        raise Malformed(f"it is in none of XGBoost's formats (as the old binary one: {error})") from None


def _model_of_snapshot(content: bytes) -> bytes:
    """Return the model that comes before the training configuration (pickles by 1.0 to 1.2)."""
    start = len(_SNAPSHOT) + _OFFSET.size
    if len(content) < start:
        raise Malformed("it ends too early")
    size: int = _OFFSET.unpack_from(content, len(_SNAPSHOT))[0]
    if not 0 < size <= len(content) - start:
        raise Malformed("its configuration lies outside of it")
    return content[start : start + size]


def _with_state(draft: Draft, state: dict[str, Any]) -> Draft:
    """Add what only a pickled Booster knows: its best iteration, and names before models stored them."""
    return replace(
        draft,
        best_iteration=_whole(state, "best_iteration"),
        best_ntree_limit=_whole(state, "best_ntree_limit"),
        feature_names=draft.feature_names or _texts(state, "feature_names"),
        feature_types=draft.feature_types or _texts(state, "feature_types"),
    )


def _whole(state: dict[str, Any], name: str) -> int | None:
    found = state.get(name)
    if found is None:
        return None
    if type(found) is not int or not -1 <= found <= _MOST:
        raise Malformed(f"{name} is not a whole number")
    return found


def _texts(state: dict[str, Any], name: str) -> tuple[str, ...]:
    found = state.get(name)
    if found is None:
        return ()
    if type(found) is not list:
        raise Malformed(f"{name} is not a list")
    return tuple(text(each, name) for each in found)
