"""The folder `container`, laid where programs of runs can read it: beside the runtimes, named by its content.

Rule: it is there whole or not at all, and everybody may read it, however the service was installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from sagestead.worker.archives import entries

_CONTAINER = Path(__file__).with_name("container")


def lay(root: Path) -> Path:
    """Return the folder that belongs on a program's path, made if it is not there; `root`: of runtimes."""
    path = root / f"container-{_digest()}"
    if path.is_dir():
        return path
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = Path(tempfile.mkdtemp(prefix=".container-", dir=root))
    for name, source, is_folder in _sources():
        if is_folder:
            (draft / name).mkdir(mode=0o755)
        else:
            shutil.copyfile(source, draft / name)
        (draft / name).chmod(0o755 if is_folder else 0o644)
    draft.chmod(0o755)
    with suppress(OSError):  # another process was quicker
        draft.rename(path)
    shutil.rmtree(draft, ignore_errors=True)
    return path


def _sources() -> list[tuple[str, Path, bool]]:
    return [one for one in entries(_CONTAINER) if "__pycache__" not in one[0]]


@cache
def _digest() -> str:
    found = hashlib.sha256()
    for name, path, is_folder in _sources():
        content = b"" if is_folder else path.read_bytes()
        found.update(f"{len(os.fsencode(name))} {name} {len(content)} ".encode() + content)
    return found.hexdigest()[:24]
