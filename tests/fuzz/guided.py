"""Fuzz one target guided by coverage, until something breaks: make fuzz TARGET=csv [RUNS=1000000].

Needs atheris. Kernels run with the bounds of their arrays checked, from a cache of their own. What is found
is in `.fuzz/TARGET`, from which the next run goes on; what broke, in `.fuzz/TARGET.broken`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOUND = Path(".fuzz")
_LARGEST = 1 << 16
_SECONDS = 20
_MEGABYTES = 3000


def _escaped(part: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in part)


def main(name: str, runs: str) -> None:
    """Fuzz a target by its name; 0 runs: without end."""
    os.environ["NUMBA_BOUNDSCHECK"] = "1"
    os.environ["XDG_CACHE_HOME"] = str((FOUND / "cache").absolute())
    import atheris  # noqa: PLC0415 - only this way of fuzzing needs it

    with atheris.instrument_imports(include=["sagestead"]):
        from tests.fuzz import targets  # noqa: PLC0415 - it is instrumented as it is imported
    target = targets.TARGETS[name]
    targets.make_ready()
    seeds, broken = FOUND / name, FOUND / f"{name}.broken"
    for folder in (seeds, broken):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (seeds / f"seed-{number}").write_bytes(seed)
    words = FOUND / f"{name}.words"
    words.write_text("".join(f'"{_escaped(part)}"\n' for part in target.parts if part))
    options = [
        f"-runs={runs}" if int(runs) else "-runs=-1",
        f"-max_len={_LARGEST}",
        f"-timeout={_SECONDS}",
        f"-rss_limit_mb={_MEGABYTES}",
        f"-artifact_prefix={broken}/",
        f"-dict={words}",
    ]
    atheris.Setup([sys.argv[0], *options, str(seeds)], target.attempt)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
