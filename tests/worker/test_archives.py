from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.worker.archives import Limits, extract, pack
from sagestead.worker.tarstream import ArchiveRefused

Build = Callable[[tarfile.TarFile], None]


def tar_gz(build: Build, kind: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=kind) as tar:
        build(tar)
    return buffer.getvalue()


def file(name: str, content: bytes = b"model") -> Build:
    def build(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))

    return build


def special(name: str, kind: bytes, target: str = "") -> Build:
    def build(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        tar.addfile(info)

    return build


def both(*builds: Build) -> Build:
    def build(tar: tarfile.TarFile) -> None:
        for each in builds:
            each(tar)

    return build


def unpack(
    tmp_path: Path, content: bytes, *, digest: str | None = None, limits: Limits | None = None
) -> Path:
    archive, destination = tmp_path / "model.tar.gz", tmp_path / "model"
    archive.write_bytes(content)
    extract(archive, destination, digest=digest, limits=limits or Limits())
    return destination


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_files_and_folders_come_out_as_they_went_in(tmp_path: Path, kind: int) -> None:
    long = "a/" + "b" * 90 + "/" + "c" * 60
    content = tar_gz(
        both(file("xgboost-model", b"x" * 1000), special("code", tarfile.DIRTYPE), file(long, b"")), kind
    )
    model = unpack(tmp_path, content, digest=hashlib.sha256(content).hexdigest())
    assert (model / "xgboost-model").read_bytes() == b"x" * 1000
    assert (model / long).read_bytes() == b""
    assert (model / "code").is_dir()


def test_a_folder_named_by_a_slash_alone_is_the_destination(tmp_path: Path) -> None:
    model = unpack(tmp_path, tar_gz(both(special("/", tarfile.DIRTYPE), file("code/serve.py"))))
    assert [path.name for path in model.iterdir()] == ["code"]


def test_very_long_and_non_ascii_names(tmp_path: Path) -> None:
    for kind in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        name = "ä" * 100 + "/" + "b" * 200
        folder = tmp_path / str(kind)
        folder.mkdir()
        assert (unpack(folder, tar_gz(file(name), kind)) / name).read_bytes() == b"model"


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (file("../x"), "leaves the folder"),
        (file("a/../../x"), "leaves the folder"),
        (file("/etc/x"), "leaves the folder"),
        (special("/etc", tarfile.DIRTYPE), "leaves the folder"),
        (file("a\nb"), "control characters"),
        (file("a" * 300), "too long"),
        (file("/".join("a" * 40)), "folders deep"),
        (special("l", tarfile.SYMTYPE, "/etc/passwd"), "is a symbolic link"),
        (both(file("a"), special("l", tarfile.LNKTYPE, "a")), "is a hard link"),
        (special("f", tarfile.FIFOTYPE), "is a named pipe"),
        (special("d", tarfile.CHRTYPE), "is a character device"),
        (both(file("a"), file("a")), "twice"),
        (both(file("a"), file("a/b")), "below a file, or as both"),
        (both(file("a/b"), file("a")), "twice"),
        (special("only", tarfile.DIRTYPE), "holds no file"),
    ],
)
def test_refused_by_one_sentence_and_nothing_is_left(tmp_path: Path, build: Build, sentence: str) -> None:
    with pytest.raises(ArchiveRefused, match=sentence):
        unpack(tmp_path, tar_gz(build))
    assert list((tmp_path / "model").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.tar.gz"]


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(members=2), "more than 2 members"),
        (Limits(bytes=2500), "more than 2500 bytes"),
        (Limits(ratio=2, ratio_from=1000), "more than 2 times"),
    ],
)
def test_bounded(tmp_path: Path, limits: Limits, sentence: str) -> None:
    content = tar_gz(both(file("a", bytes(1000)), file("b", bytes(1000)), file("c", bytes(1000))))
    with pytest.raises(ArchiveRefused, match=sentence):
        unpack(tmp_path, content, limits=limits)


def test_another_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match="has changed since its model was made"):
        unpack(tmp_path, tar_gz(file("a")), digest="0" * 64)
    assert list((tmp_path / "model").iterdir()) == []


def test_a_flipped_bit_in_stored_data_is_found(tmp_path: Path) -> None:
    content = os.urandom(5000)
    packed = bytearray(gzip.compress(gzip.decompress(tar_gz(file("a", content))), compresslevel=0))
    packed[packed.index(content[:16])] ^= 1
    with pytest.raises(ArchiveRefused, match="damaged"):
        unpack(tmp_path, bytes(packed))


def test_a_header_that_claims_a_huge_extension_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 7 << 30
    with pytest.raises(ArchiveRefused, match="member header of"):
        unpack(tmp_path, gzip.compress(info.tobuf(tarfile.USTAR_FORMAT)))


VALID = tar_gz(
    both(file("xgboost-model", b"abc" * 300), file("code/inference.py", b"x = 1\n"), file("ü" * 80))
)
PLAIN = gzip.decompress(VALID)


@given(st.lists(st.tuples(st.integers(0, len(PLAIN) - 1), st.integers(0, 255)), max_size=8), st.booleans())
@settings(max_examples=150, deadline=None)
def test_mutations_are_unpacked_inside_or_refused(changes: list[tuple[int, int]], packed: bool) -> None:  # noqa: FBT001 - hypothesis passes it
    content = bytearray(VALID if packed else PLAIN)
    for position, value in changes:
        content[position % len(content)] = value
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            unpack(folder, bytes(content) if packed else gzip.compress(bytes(content), 1))
        except ArchiveRefused:
            assert list((folder / "model").iterdir()) == []
        assert sorted(path.name for path in folder.iterdir()) == ["model", "model.tar.gz"]
        assert not any(path.is_symlink() for path in folder.rglob("*"))


@given(st.binary(max_size=2000))
@settings(max_examples=50, deadline=None)
def test_any_bytes_are_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.raises(ArchiveRefused):
        unpack(Path(name), content)


def test_packing_is_deterministic_and_comes_back(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "code").mkdir(parents=True)
    (tree / "xgboost-model").write_bytes(b"\0" * 70_000)
    (tree / "code" / "ä.py").write_text("x")
    pack(tree, tmp_path / "one.tar.gz")
    os.utime(tree / "xgboost-model", (1, 1))
    (tree / "xgboost-model").chmod(0o600)
    pack(tree, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        assert tar.getnames() == ["code", "code/ä.py", "xgboost-model"]
    extract(tmp_path / "one.tar.gz", tmp_path / "out", digest=None)
    assert (tmp_path / "out" / "xgboost-model").read_bytes() == b"\0" * 70_000


def test_a_pipe_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree" / "pipe")
    with pytest.raises(ArchiveRefused, match="'pipe' is a device, pipe or socket"):
        pack(tmp_path / "tree", tmp_path / "a.tar.gz")


@pytest.mark.parametrize("where", ["link", "code/link"])
def test_a_link_is_not_packed_and_not_followed(tmp_path: Path, where: str) -> None:
    (tmp_path / "tree" / "code").mkdir(parents=True)
    (tmp_path / "tree" / where).symlink_to("/etc")
    with pytest.raises(ArchiveRefused, match=f"'{where}' is a symbolic link; only files and folders"):
        pack(tmp_path / "tree", tmp_path / "a.tar.gz")


def test_a_folder_that_is_a_link_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to("/etc")
    with pytest.raises(ArchiveRefused, match="'model' is a symbolic link"):
        pack(tmp_path / "model", tmp_path / "a.tar.gz")


def test_a_name_that_is_not_utf8_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / os.fsdecode(b"gr\xfc\xdfe")).write_text("x")
    with pytest.raises(ArchiveRefused, match="is not UTF-8"):
        pack(tmp_path / "tree", tmp_path / "a.tar.gz")
