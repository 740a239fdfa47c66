"""Model files of every format, prepared folders, and archives."""

from __future__ import annotations

import atexit
import gzip
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from tests.forest.library import cases
from tests.forest.test_malformed import check
from tests.fuzz.target import Target, need, outcome

from sagestead.algorithms.xgboost import structure
from sagestead.algorithms.xgboost.hosting import open_prepared, prepare
from sagestead.domain.refused_model import ModelRefused
from sagestead.forest.documents import Malformed, read_json
from sagestead.forest.ensemble import Ensemble
from sagestead.forest.files import read
from sagestead.forest.layout import TooLarge, plan
from sagestead.forest.scoring import Scorer
from sagestead.forest.transforms import UnknownObjective
from sagestead.forest.twin import Twin
from sagestead.worker.archives import Limits, extract
from sagestead.worker.contract import Invocation
from sagestead.worker.tarstream import ArchiveRefused

_IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
_SMALL = 20_000
_CHOSEN = ("multi-softprob-dart", "categories-partition", "binary-logistic-gblinear", "pruned", "reg-gamma")
_ROWS = np.random.default_rng(3).normal(size=(3, 5)).astype(np.float32)
_ROWS[1, 2] = np.nan
_BLOCK = 512
_LIMITS = Limits(members=20, bytes=1 << 20, ratio=50, ratio_from=1 << 16, name=200, depth=8)


@cache
def files() -> list[bytes]:
    """Return small model files of all formats and versions."""
    every = [
        content
        for (_, name), case in cases().items()
        for content in case.files.values()
        if name in _CHOSEN or len(content) < _SMALL // 4
    ]
    return [content for content in every if len(content) < _SMALL]


def read_model(data: bytes) -> None:
    """A model is refused or sound, and then kernel and twin walk it to the same predictions."""
    model = outcome(lambda: read(data), ModelRefused)
    if not isinstance(model, Ensemble):
        return
    check(model)
    with suppress(UnknownObjective, TooLarge):
        words = plan(model, range(model.trees_used))
        rows = np.ascontiguousarray(_ROWS[:, : model.features])
        found, expected = Scorer(words).score(rows), Twin(words).score(rows, margins=False)
        same = np.array_equal(found.reshape(len(rows), -1), expected, equal_nan=True)
        need(same, "kernel and twin predict the same")


def documents() -> list[bytes]:
    """Return models as JSON."""
    return [content for content in files() if content[:2] == b'{"'] or [b"{}"]


def check_checkpoint(data: bytes) -> None:
    """A checkpoint is refused or described, before the library sees it."""
    document = outcome(lambda: read_json(data), Malformed)
    if not isinstance(document, str):
        outcome(lambda: structure.check(document), Malformed)


@cache
def folder() -> Path:
    """Return a folder of this process's own."""
    shared = Path("/dev/shm")
    own = Path(tempfile.mkdtemp(prefix="fuzz", dir=shared if shared.is_dir() else None))
    atexit.register(shutil.rmtree, own)
    for name in ("model", "prepared", "out"):
        (own / name).mkdir()
    (own / "model" / "xgboost-model").write_bytes(min(documents(), key=len))
    prepare(own / "model", _IMAGE, {}, own / "prepared")
    return own


@cache
def prepared() -> list[bytes]:
    """Return the files of a prepared folder, the facts in the first line."""
    place = folder() / "prepared"
    facts = json.dumps(json.loads((place / "model.json").read_bytes())).encode()
    plan_bytes = (place / "plan-0").read_bytes()
    return [facts + b"\n" + plan_bytes, facts, facts + b"\n"]


def open_model(data: bytes) -> None:
    """Only the very plan that was prepared is opened, whatever the facts say."""
    place = folder() / "prepared"
    facts, _, words = data.partition(b"\n")
    (place / "model.json").write_bytes(facts)
    (place / "plan-0").write_bytes(words)
    model = outcome(lambda: open_prepared(place), ModelRefused)
    if isinstance(model, str):
        return
    need(hashlib.sha256(words).hexdigest().encode() in facts, "the digest covers the plan")
    need(model.invoke(Invocation(b"1,2", content_type="text/csv")).status < 500, "it answers")


def _tar(kind: int, names: list[str]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=kind) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            if name.endswith("/"):
                member.type, member.size = tarfile.DIRTYPE, 0
            tar.addfile(member, io.BytesIO(name.encode()))
    return content.getvalue()


@cache
def archives() -> list[bytes]:
    """Return tars, of which `unpack` makes a tar.gz, and whole ones."""
    names = ["xgboost-model", "code/", "code/inference.py", "ä" * 40, "d/" * 4 + "n" * 90]
    tars = [_tar(kind, names[:count]) for kind in (0, 1, 2) for count in (1, 3, 5)]
    packed = [b"z" + gzip.compress(tar, 1, mtime=0) for tar in tars]
    return [b"t" + tar for tar in tars] + packed


def unpack(data: bytes) -> None:
    """An archive is refused, leaving nothing, or unpacked below its folder and within its limits."""
    own = folder()
    archive, out = own / "archive", own / "out"
    content = data[1:]
    archive.write_bytes(gzip.compress(_fitted(content), 0) if data[:1] == b"t" else content)
    found = outcome(lambda: extract(archive, out, digest=None, limits=_LIMITS), ArchiveRefused)
    below = list(out.rglob("*"))
    need(found is None or not below, "a refused archive leaves nothing")
    need(len(below) <= _LIMITS.members * _LIMITS.depth, "the number is limited")
    for path in below:
        need(not path.is_symlink() and (path.is_dir() or path.is_file()), "only files and folders")
    need(sum(path.stat().st_size for path in below if path.is_file()) <= _LIMITS.bytes, "bytes are limited")
    need(
        {each.name for each in own.iterdir()} == {"archive", "model", "out", "prepared"}, "nothing beside it"
    )
    shutil.rmtree(out)
    out.mkdir()


def _fitted(tar: bytes) -> bytes:
    """Give every block that looks like a header the checksum it needs, so that damage is looked at."""
    blocks = bytearray(tar + bytes(-len(tar) % _BLOCK))
    for at in range(0, len(blocks), _BLOCK):
        if blocks[at + 257 : at + 262] == b"ustar":
            blocks[at + 148 : at + 156] = b" " * 8
            blocks[at + 148 : at + 156] = b"%06o\0 " % sum(blocks[at : at + _BLOCK])
    return bytes(blocks)


TARGETS = {
    "model": Target(
        files, read_model, 3000, (b"{L", b"[$", b"[#L", b"NaN", b"\x80\x04", b"R.", b"(", b"q\0")
    ),
    "checkpoint": Target(documents, check_checkpoint, 2000, (b"[", b"]", b"{", b"}", b'"0"', b",", b"1e39")),
    "prepared": Target(prepared, open_model, 2000, (b'"', b"[]", b"{}", b"null", b"-1", b"0")),
    "archive": Target(archives, unpack, 3000, (b"ustar\0", b"../", b"/", b"0000000", b"7" * 11, b"2", b"x")),
}
