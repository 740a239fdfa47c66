"""How the cause of a failure is written into FailureReason.

Rule: at most 1,024 characters, the cause first, then whatever log lines still fit.
"""

from __future__ import annotations

from collections.abc import Sequence

LIMIT = 1024

_PREFIXES = ("ClientError:", "InternalServerError:", "CapacityError:")


def with_lines(cause: str, lines: Sequence[str]) -> str:
    """Return the cause and the last log lines after it, the oldest left out first, none that repeats it."""
    cause = cause.strip()[:LIMIT]
    room = LIMIT - len(cause) - len(" Last log lines:")
    kept: list[str] = []
    for line in reversed(lines):
        if line.strip() in cause:
            continue
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join([f"{cause} Last log lines:", *reversed(kept)]) if kept else cause


def of_algorithm(text: str | None, exit_code: int | None, lines: Sequence[str]) -> str:
    """Return the reason why a training process failed.

    `text` is what it wrote to /opt/ml/output/failure; a text that names its own kind of error keeps it
    (spec: xgboost-builtin.md section 7). `exit_code` may be a negative signal number.
    """
    text = (text or "").strip()
    if text.startswith(_PREFIXES):
        return text[:LIMIT]
    text = text.removeprefix("AlgorithmError:").strip()
    code = 128 - exit_code if exit_code is not None and exit_code < 0 else exit_code
    suffix = "" if code is None else f", exit code: {code}"
    if not text:
        text = (
            "\n".join(line for line in lines if line.strip()) or "the process wrote neither a cause nor a log"
        )
        text = text[-(LIMIT - len(suffix) - len("AlgorithmError: ")) :]
    return f"AlgorithmError: {text}"[: LIMIT - len(suffix)] + suffix
