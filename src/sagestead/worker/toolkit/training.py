"""Training with a script of the user's (spec: container-contract.md section 6.1).

Rule: the script gets what AWS's toolkits give it: its code in /opt/ml/code, its arguments, SM_ variables. How
it failed is said in their words. When it has ended, nothing that it started goes on.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from sagestead.worker.archives import extract
from sagestead.worker.run_folder import RunFolder, read_json
from sagestead.worker.toolkit import commands
from sagestead.worker.toolkit.arguments import CODE, Told, arguments_of, variables_of
from sagestead.worker.toolkit.layers import SETUP
from sagestead.worker.toolkit.workshop import Workshop, say

_MESSAGE = 600
_LINES = 40
_NO_PROGRAM = (
    "ClientError: No program is named: give the hyperparameter sagemaker_program (with the SDK: entry_point)."
)


@dataclass(frozen=True, slots=True)
class Script:
    """What is started: the command, how it is shown to people, and SM_ and other variables."""

    command: list[str]
    shown: str
    variables: Mapping[str, str]


def train(workshop: Workshop) -> int:
    """Run the command that the job names, or else its script; return the exit code.

    Why it is not 0 is said in `failure`, except by a command, which writes /opt/ml/output/failure for itself.

    Raises:
        ModelRefused: its source or its packages cannot be used.
    """
    run = workshop.run
    if workshop.spec.command is not None:
        return commands.run(workshop)
    told = read_told(workshop)
    program = told.platform("sagemaker_program")
    if program is None:
        run.fail(_NO_PROGRAM)
        return 1
    code = run.layout.root / "code"
    unpack_source(run, code)
    if not (code / program).is_file() and not (code / SETUP).is_file():
        run.fail(_missing(program, code))
        return 1
    workshop.install(code, CODE)
    script = script_of(workshop, told, program, is_package=(code / SETUP).is_file())
    say(f"Invoking user script\n\n{script.shown}\n")
    return _ended(run, script, *_follow(workshop, script))


def read_told(workshop: Workshop) -> Told:
    """Return what the platform has written for the job."""
    config = workshop.run.layout.config
    read = {
        name: read_json(config / f"{name}.json") or {}
        for name in ("hyperparameters", "inputdataconfig", "resourceconfig")
    }
    return Told(
        read["hyperparameters"],
        read["inputdataconfig"],
        read["resourceconfig"],
        workshop.spec.environment,
        workshop.spec.threads,
    )


def unpack_source(run: RunFolder, code: Path) -> None:
    """Unpack the user's program, if it lies in an archive; raise `ModelRefused` if it is broken."""
    if run.source.exists():
        shutil.rmtree(code, ignore_errors=True)
        extract(run.source, code, digest=None)


def script_of(workshop: Workshop, told: Told, program: str, *, is_package: bool) -> Script:
    """Return how a program is started: as a module of its package, as a script, or by a shell."""
    words = arguments_of(told.own)
    framework = (workshop.spec.runtime or "").partition(":")[0]
    python = f"python{workshop.environment.version.rpartition('.')[0]}"
    variables = {**variables_of(told, framework), "PYTHONPATH": CODE}
    if is_package:
        arguments = ["-m", program.removesuffix(".py"), *words]
    elif program.endswith(".py"):
        arguments = [program, *words]
    else:
        line = f"./{program} {' '.join(map(shlex.quote, words))}".strip()
        return Script(["/bin/sh", "-c", line], f'/bin/sh -c "{line}"', variables)
    return Script([workshop.environment.python, *arguments], shlex.join([python, *arguments]), variables)


def _follow(workshop: Workshop, script: Script) -> tuple[int, str]:
    """Run the script to its end, asking it to end when we are; return exit code and last error lines."""
    process = workshop.start(script.command, script.variables, CODE, stderr=subprocess.PIPE)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    last: deque[str] = deque(maxlen=_LINES)
    reader = threading.Thread(target=_read_errors, args=(process, last), daemon=True)
    reader.start()
    code = process.wait()
    workshop.sweep()  # which closes the pipe, whoever held it
    reader.join()
    return code, "\n".join(last).strip()


def _read_errors(process: subprocess.Popen[bytes], last: deque[str]) -> None:
    """Pass standard error on, line by line, and remember the last ones."""
    assert process.stderr is not None  # noqa: S101 - it was started with a pipe
    with process.stderr as errors:
        for raw in errors:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            say(line)
            last.append(line)


def _ended(run: RunFolder, script: Script, code: int, errors: str) -> int:
    """Say how the script ended; a signal becomes the exit code that a shell would give."""
    if code == 0:
        return 0
    code = 128 - code if code < 0 else code
    run.fail(
        f'ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "{errors[-_MESSAGE:]}"\n'
        f'Command "{script.shown}"'
    )
    return code


def _missing(program: str, code: Path) -> str:
    there = ", ".join(sorted(path.name for path in code.iterdir())[:20]) if code.is_dir() else "nothing"
    return f"ClientError: The program {program} is not in the source archive, which holds {there}."
