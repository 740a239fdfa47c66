"""Which container image means which built-in algorithm (spec: xgboost-builtin.md section 1).

Rule: account and region of an image URI do not matter; repository and tag do. A tag that we do not know is no
built-in image: `no_such_image` says so and names the tags there are.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

LEGACY_TAG = "1"
"""The algorithm of XGBoost 0.72, older than every other tag."""

XGBOOST_TAGS = ("0.90-1", "0.90-2", "1.0-1", "1.2-1", "1.2-2", "1.3-1", "1.5-1", "1.7-1", "3.0-5", "3.2-0")
"""Tags of repository `sagemaker-xgboost`, oldest first; up to 1.0-1 AWS writes `-cpu-py3` behind them."""

_URI = re.compile(
    r"""(?P<host>\d{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+(?:\.[a-z0-9-]+)+)
        /(?P<repository>[a-z0-9][a-z0-9._/-]*)
        (?: :(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}) )?
        (?: @(?P<digest>sha256:[0-9a-f]{64}) )?""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class BuiltInImage:
    """A built-in algorithm at one version. `tag` is `LEGACY_TAG` or one of `XGBOOST_TAGS`."""

    algorithm: Literal["xgboost"]
    tag: str

    @property
    def version(self) -> tuple[int, int, int]:
        """The tag as numbers that can be compared; (0, 72, 0) for the legacy algorithm."""
        return _version(self.tag)

    def at_least(self, tag: str) -> bool:
        """Say whether this image is `tag` or newer, for example `image.at_least("1.2-2")`."""
        return self.version >= _version(tag)


def built_in_image(uri: str) -> BuiltInImage | None:
    """Return the built-in algorithm that an image URI names, or None.

    A digest that no tag of ours has says nothing about the version: it is taken as the newest tag.
    """
    parts = _URI.fullmatch(uri)
    if parts is None or parts["repository"] not in ("xgboost", "sagemaker-xgboost"):
        return None
    tag = parts["tag"]
    if tag is None and parts["digest"]:
        tag = _TAGS_BY_DIGEST.get(parts["digest"], XGBOOST_TAGS[-1])
        return BuiltInImage("xgboost", LEGACY_TAG if parts["repository"] == "xgboost" else tag)
    if parts["repository"] == "xgboost":
        return BuiltInImage("xgboost", LEGACY_TAG) if tag in (None, LEGACY_TAG, "latest") else None
    tag = (tag or "").removesuffix("-cpu-py3")
    return BuiltInImage("xgboost", tag) if tag in XGBOOST_TAGS else None


def no_such_image(uri: str) -> str:
    """Return the sentence for an image URI that is no built-in image."""
    return (
        f"Image {uri} is not one that this server can run. Use the built-in XGBoost: repository "
        f"sagemaker-xgboost with tag {', '.join(XGBOOST_TAGS[:-1])} or {XGBOOST_TAGS[-1]}, "
        f"or repository xgboost with tag {LEGACY_TAG} or latest."
    )


def resolved_image(uri: str) -> str:
    """Return the URI by digest, as DeployedImages shows it: the same for the same repository and version."""
    parts = _URI.fullmatch(uri)
    if parts is None:
        return f"{uri.partition('@')[0]}@{_digest(uri)}"
    image = built_in_image(uri)
    named = _built_in_digest(image.tag) if image else _digest(f"{parts['repository']}:{parts['tag']}")
    return f"{parts['host']}/{parts['repository']}@{parts['digest'] or named}"


@cache
def _version(tag: str) -> tuple[int, int, int]:
    if tag == LEGACY_TAG:
        return (0, 72, 0)
    major, minor, build = re.split("[.-]", tag)
    return (int(major), int(minor), int(build))


def _digest(name: str) -> str:
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def _built_in_digest(tag: str) -> str:
    return _digest(f"built-in/xgboost:{tag}")


_TAGS_BY_DIGEST = {_built_in_digest(tag): tag for tag in XGBOOST_TAGS}
