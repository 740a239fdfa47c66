"""Documents of a model, and the JSON ones, read in bounded memory and without executing anything.

Rule: JSON and UBJSON (`ubjson`) come out in one form: objects as dict, lists of numbers as NumPy arrays
(int64 or float64; a list of true and false as int64), other lists as list, and text, numbers, booleans, None.
Numbers may be NaN and infinite. Duplicate keys, trailing bytes, nesting beyond `DEPTH` and more than `VALUES`
separate values are refused.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

DEPTH = 32
VALUES = 20_000_000


class Malformed(ValueError):  # noqa: N818 - it says what is malformed
    """The bytes are not such a document; the text completes the sentence "it is damaged: ..."."""


def read_json(content: bytes) -> Any:  # noqa: ANN401 - a document is whatever was written
    """Return the document; raise `Malformed`."""
    try:
        return packed(json.loads(content, object_pairs_hook=_object))
    except RecursionError:
        raise Malformed("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise Malformed("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"it is not JSON from character {error.pos} on") from None
    except Malformed:
        raise
    except ValueError:
        raise Malformed("it holds a number that is too long") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object, packing its lists at once so that a large model never stands in Python objects."""
    made = {key: packed(value) for key, value in pairs}
    if len(made) != len(pairs):
        raise Malformed("a key appears twice")
    return made


def packed(value: Any) -> Any:  # noqa: ANN401 - a document is whatever was written
    """Return a list of numbers as an array, and anything else as it is."""
    if not isinstance(value, list) or not value:
        return value
    kinds = set(map(type, value))
    if kinds <= {bool}:
        return np.array(value, np.int64)
    if kinds <= {int, float}:
        try:
            return np.array(value, np.int64 if kinds == {int} else np.float64)
        except OverflowError:
            raise Malformed("it holds a number that is too large") from None
    return value
