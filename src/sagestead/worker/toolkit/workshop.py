"""What one run's programs of users are started with: their runtime, their packages, their enclosure.

Rule: opened before anything of the user's is touched. From then on the run has its runtime (`equipped`); what
the user's own code asks to install is installed by a process in the enclosure, never by us.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from sagestead.domain.runs import RunSpec
from sagestead.worker.run_folder import RunFolder
from sagestead.worker.toolkit import laid, layers, packages
from sagestead.worker.toolkit.enclosure import Enclosure, Program
from sagestead.worker.toolkit.environments import Environment, Environments

TERMINATED = 128 + signal.SIGTERM
_SUBREAPER = 36
_OWN = frozenset({"PATH", "LANG", "TMPDIR", "PYENV_ROOT"})
"""Variables of an installer that stay the container's."""


@dataclass(slots=True)
class Workshop:
    """A run that has its runtime.

    Attributes:
        run: its folder.
        spec: what to run.
        environment: its runtime, with the user's packages once `install` was called.
        enclosure: where its programs live.
        environments: where runtimes are.
        writes: folders outside of /opt/ml that its programs write.
    """

    run: RunFolder
    spec: RunSpec
    environment: Environment
    enclosure: Enclosure
    environments: Environments
    writes: tuple[Path, ...] = ()

    @classmethod
    def open(
        cls, run: RunFolder, spec: RunSpec, installing: Mapping[str, str], tell: Callable[[], None]
    ) -> Workshop:
        """Have the run's runtime, building it if need be; `tell` is called once it is there.

        Raises:
            ModelRefused: it cannot be had; the text is one sentence.
        """
        environments = Environments(run.runtimes, installing, say)
        environment = environments.provide(spec.runtime or "")
        enclosure = Enclosure(run, isolated=spec.isolated, has_own_files=spec.command is not None)
        _adopt_orphans()
        run.equipped.touch()
        tell()
        return cls(run, spec, environment, enclosure, environments)

    def install(self, code: Path, seen: str) -> None:
        """Add what the user's code asks for: its requirements.txt, and itself when it has a setup.py.

        `seen`: the folder of the code as programs see it.

        Raises:
            ModelRefused: it could not be installed; the text names pip's last lines.
        """
        self.environment = layers.provide(self.environments, self.environment, self.enclosure, code, seen)

    def unlock(self) -> dict[str, str]:
        """Give the run's programs an environment that they may install into; it goes with the run.

        Returns the variables by which `pip` finds its index as the service's user has it configured.
        """
        self.environment = packages.own(self.environments, self.environment, self.run.packages)
        self.enclosure.lend(self.run.packages)
        self.writes = (self.run.packages,)
        if self.spec.isolated:
            return {}
        settings = self.environments.settings(self.environment)
        return {name: value for name, value in settings.items() if name not in _OWN}

    def start(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        folder: str,
        **options: Any,  # noqa: ANN401 - as Popen's
    ) -> subprocess.Popen[bytes]:
        """Start a program of the user's.

        Args:
            command: the program and its arguments; /opt/ml means the run's folder.
            variables: added to the container's environment.
            folder: where it starts, below /opt/ml.
            options: those of `subprocess.Popen`.
        """
        environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/opt/ml",
            "USER": "sagestead",
            **variables,
        }
        if "AWS_REGION" in environment:
            environment.setdefault("AWS_DEFAULT_REGION", environment["AWS_REGION"])  # which boto3 reads
        container = laid.lay(self.environments.root)
        environment["PATH"] = f"{self.environment.programs}:{environment['PATH']}"
        environment["PYTHONPATH"] = f"{environment.get('PYTHONPATH', '')}:{container}".lstrip(":")
        needs = [container, *(path for path in self.environment.needs if path not in self.writes)]
        program = Program(command, environment, folder, needs, self.writes)
        return self.enclosure.start(program, **options)

    def outlast(self) -> None:
        """Wait until all that the user's programs started has ended."""
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)

    def sweep(self, spared: Collection[int] = ()) -> None:
        """End whatever the user's programs left running, but for the processes of these numbers."""
        while children := [child for child in _children() if child not in spared]:
            for child in children:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(child, signal.SIGKILL)
            for child in children:
                with suppress(ChildProcessError):
                    os.waitpid(child, 0)


def say(line: str) -> None:
    """Write a line to the run's log at once."""
    print(line, flush=True)  # noqa: T201 - the run's log


def leave(_number: int, _frame: FrameType | None) -> NoReturn:
    """Signal handler: unwind, so that everything started is ended, and exit as one who was terminated."""
    raise SystemExit(TERMINATED)


def _adopt_orphans() -> None:
    """Become the parent of processes whose own parent ends, so that `sweep` finds them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _children() -> list[int]:
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, task.read_text(encoding="ascii").split())
    return found
