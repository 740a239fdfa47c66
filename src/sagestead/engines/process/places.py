"""Where runs are kept: a folder by run, two indexes of them, and a folder of sockets with short paths.

    <root>/<hash of run id>/                      the run's folder
    <root>/owners/<hash of owner>/<hash of run id>    empty: that run belongs to that owner
    <root>/contents/<hash of what>/<hash of run id>   empty: that run prepares, or has prepared, that
    <root>/../s/<hash of run id>                  its Unix socket, when the path is short enough

Names are hashes, so nothing a client chose becomes a path.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from sagestead.worker.run_folder import RunFolder

SOCKET_PATH_LIMIT = 100
_NAME_LENGTH = 20
_OWNERS = "owners"
_CONTENTS = "contents"


class UnsafeFolder(RuntimeError):  # noqa: N818 - names what is unsafe
    """A folder for sockets belongs to somebody else, or others may enter it."""


@dataclass(frozen=True, slots=True)
class Index:
    """Which runs go by a name, as empty files below `folder`; the runs are in `root`."""

    root: Path
    folder: Path

    def add(self, name: str, run_id: str) -> None:
        """Note that a run goes by a name."""
        marker = self._marker(name, run_id)
        marker.parent.mkdir(exist_ok=True, mode=0o700)
        marker.touch()

    def remove(self, name: str, run_id: str) -> None:
        """Forget that a run goes by a name."""
        marker = self._marker(name, run_id)
        marker.unlink(missing_ok=True)
        try:
            marker.parent.rmdir()
        except OSError:
            return  # others go by it, or none ever did

    def runs(self, name: str) -> Iterator[RunFolder]:
        """Yield the runs that go by a name."""
        try:
            with os.scandir(self.folder / _name(name)) as markers:
                for marker in markers:
                    yield RunFolder(self.root / marker.name)
        except FileNotFoundError:
            return

    def tidy(self, guard: AbstractContextManager[object]) -> None:
        """Forget runs whose folder is gone, as a crash can leave them; `guard` is held for each name."""
        for names in list(self.folder.iterdir()):
            with guard, suppress(OSError):  # it goes, or has other runs
                for marker in list(names.iterdir()):
                    if not (self.root / marker.name).exists():
                        marker.unlink()
                names.rmdir()

    def _marker(self, name: str, run_id: str) -> Path:
        return self.folder / _name(name) / _name(run_id)


@dataclass(frozen=True, slots=True)
class Places:
    """The paths below one root."""

    root: Path
    sockets: Path

    @classmethod
    def prepare(cls, root: Path) -> Places:
        """Make the folders that every run shares.

        Raises:
            UnsafeFolder: the folder of sockets is not ours alone.
        """
        root = root.absolute()
        for index in (_OWNERS, _CONTENTS):
            (root / index).mkdir(parents=True, exist_ok=True, mode=0o700)
        sockets = _socket_folder(root.parent)
        return cls(root, sockets)

    def run(self, run_id: str) -> RunFolder:
        """Return the paths of a run."""
        return RunFolder(self.root / _name(run_id))

    def address(self, run_id: str) -> Path:
        """Return the path of a run's Unix socket."""
        return self.sockets / _name(run_id)

    @property
    def notices(self) -> Path:
        """The socket on which the engine hears that a run became ready or ended."""
        return self.sockets / "notices"

    @property
    def owners(self) -> Index:
        """The runs by the resource that they belong to."""
        return Index(self.root, self.root / _OWNERS)

    @property
    def contents(self) -> Index:
        """The `prepare` runs by what they prepare."""
        return Index(self.root, self.root / _CONTENTS)

    def every(self) -> Iterator[RunFolder]:
        """Yield every run there is."""
        for path in list(self.root.iterdir()):
            if path.name not in (_OWNERS, _CONTENTS):
                yield RunFolder(path)


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_NAME_LENGTH]


def _socket_folder(data: Path) -> Path:
    """Return a private folder in which socket paths fit into an address of the kernel's."""
    private = f"sagestead-{_name(str(data))}"
    candidates = [data / "s", Path(tempfile.gettempdir()) / private, Path("/tmp") / private]  # noqa: S108 - checked below
    fitting = [path for path in candidates if len(os.fsencode(path)) + 1 + _NAME_LENGTH < SOCKET_PATH_LIMIT]
    folder = fitting[0]
    folder.mkdir(exist_ok=True, mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise UnsafeFolder(f"{folder} must be a folder that only its owner, this user, may enter; remove it")
    return folder
