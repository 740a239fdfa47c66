"""Environments on disk: a virtual environment for every runtime, built once, found by its content.

    <data>/runtimes/<digest>/               a virtual environment
    <data>/runtimes/<digest>/built.json     its `Environment`, written when it is whole
    <data>/runtimes/<digest>.lock           held by whoever builds it

Rules: what has no `built.json` is no environment and is begun anew; one process builds at a time, the others
wait for it and say so. Every line that the installer writes is passed on as it comes.
"""

from __future__ import annotations

import ast
import fcntl
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sagestead.domain.refused_model import ModelRefused
from sagestead.domain.runtimes import RUNTIMES, Runtime, digest_of
from sagestead.worker.run_folder import read_json, write_json
from sagestead.worker.toolkit import interpreters
from sagestead.worker.toolkit.enclosure import ending_with_us
from sagestead.worker.toolkit.interpreters import Interpreter

READABLE = 0o022
"""With this umask, the user that programs run as can read what is installed."""

LAST_LINES = 12
_REASON = 900
_OFFLINE = re.compile(
    r"NewConnectionError|ConnectTimeout|Failed to establish a new connection|Temporary failure in name "
    r"resolution|Name or service not known|nodename nor servname|ProxyError|Network is unreachable"
    r"|Connection refused|Max retries exceeded",
)

Say = Callable[[str], None]
"""Takes one line for the log."""


class CannotBuild(ModelRefused):
    """An environment cannot be had; the text is one sentence for FailureReason."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that is whole.

    Attributes:
        path: its folder.
        name: the runtime's name.
        version: full version of its Python.
        requirements: what was installed.
        prefix: where its Python lies.
        base: the environment it is laid upon, if any.
    """

    path: str
    name: str
    version: str
    requirements: tuple[str, ...]
    prefix: str
    base: str | None = None

    @property
    def python(self) -> str:
        """Its Python."""
        return f"{self.path}/bin/python"

    @property
    def site(self) -> Path:
        """The folder of its packages."""
        return Path(self.path) / "lib" / f"python{self.version.rpartition('.')[0]}" / "site-packages"

    @property
    def programs(self) -> str:
        """Its folders of programs, as PATH has them."""
        return ":".join(f"{path}/bin" for path in (self.path, self.base) if path)

    @property
    def needs(self) -> tuple[Path, ...]:
        """The folders that programs in it read."""
        return tuple(Path(path) for path in (self.path, self.base, self.prefix) if path)


class Environments:
    """The environments of one data folder.

    Args:
        root: where they are.
        variables: environment of the installer: HOME, PATH, proxies and what `pip` reads.
        say: takes the installer's lines.
    """

    def __init__(self, root: Path, variables: Mapping[str, str], say: Say) -> None:
        self.root = root
        self.variables = dict(variables)
        self.say = say

    def built(self) -> list[Environment]:
        """Return what there is whole, by name."""
        notes = sorted(self.root.glob("*/built.json"))
        found = [one for note in notes if (one := _read(note.parent)) is not None]
        return sorted(found, key=lambda one: (one.name, one.version, one.base is not None))

    def find(self, runtime: Runtime) -> Environment | None:
        """Return the environment of a runtime, if it is whole and still what the runtime says."""
        fitting = {
            one.version.rpartition(".")[0]: one
            for one in self.built()
            if one.base is None and _is_current(one, runtime)
        }
        return next((fitting[python] for python in runtime.pythons if python in fitting), None)

    def provide(self, name: str) -> Environment:
        """Return the environment of a runtime, building it if need be.

        Raises:
            CannotBuild: no Python here can run it, or the installer failed.
        """
        runtime = RUNTIMES[name]
        found = self.find(runtime)
        if found is not None:
            return found
        interpreter = choose(runtime, interpreters.find(self.variables))
        requirements = runtime.requirements_for(interpreter.minor)
        digest = digest_of(interpreter.version, requirements)
        with self.building(digest, name) as path:
            if (built := _read(path)) is not None:
                return built
            self.say(
                f"Building the runtime {name} with Python {interpreter.version}: {', '.join(requirements)}"
            )
            self._make(path, interpreter, name)
            self._install(path, requirements, name)
            self._try(path, runtime)
            return self.note(
                Environment(str(path), name, interpreter.version, requirements, str(interpreter.prefix))
            )

    def remove(self, name: str) -> list[Environment]:
        """Remove the environments of a runtime and those laid upon them; return what was removed."""
        removed = []
        for one in self.built():
            if one.name == name:
                (Path(one.path) / "built.json").unlink(missing_ok=True)
                shutil.rmtree(one.path, ignore_errors=True)
                Path(f"{one.path}.lock").unlink(missing_ok=True)
                removed.append(one)
        return removed

    @contextmanager
    def building(self, digest: str, name: str) -> Iterator[Path]:
        """Hold the right to build an environment; yields its folder, which may be whole by then."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.root / digest
        with (self.root / f"{digest}.lock").open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.say(f"The runtime {name} is being built; waiting for it.")
                fcntl.flock(held, fcntl.LOCK_EX)
            if _read(path) is None:
                shutil.rmtree(path, ignore_errors=True)
            yield path

    def note(self, environment: Environment) -> Environment:
        """Write down that an environment is whole."""
        write_json(Path(environment.path) / "built.json", asdict(environment))
        self.say(f"The runtime {environment.name} is ready.")
        return environment

    def settings(self, environment: Environment) -> dict[str, str]:
        """Return the variables with which an installer needs no configuration file of the service's user."""
        command = [environment.python, "-m", "pip", "config", "list"]
        done = subprocess.run(  # noqa: S603 - our own command
            command, env=self.variables, capture_output=True, text=True, check=False, cwd="/"
        )
        found = {name: value for name, value in self.variables.items() if name != "HOME"}
        for line in done.stdout.splitlines():
            section, _, rest = line.partition(".")
            name, _, value = rest.partition("=")
            if section in {"global", "install"}:
                found.setdefault(f"PIP_{name.upper().replace('-', '_')}", str(ast.literal_eval(value)))
        return {**found, "PIP_CONFIG_FILE": os.devnull}

    def _make(self, path: Path, interpreter: Interpreter, name: str) -> None:
        command = [str(interpreter.path), "-m", "venv", str(path)]
        lines = self._run(command)
        if lines is not None:
            raise CannotBuild(
                f"The runtime {name} could not be built: {interpreter.path} makes no virtual "
                f"environments ({shortened(lines)}). Install its venv and ensurepip modules, or another "
                f"Python {interpreter.minor}."
            )

    def _install(self, path: Path, requirements: Sequence[str], name: str) -> None:
        command = [str(path / "bin" / "python"), "-m", "pip", "install", *PIP_OPTIONS]
        lines = self._run([*command, "--only-binary", ":all:", *requirements])
        if lines is not None:
            raise failed(name, f"sagestead runtime build {name}", lines)

    def _try(self, path: Path, runtime: Runtime) -> None:
        lines = self._run([str(path / "bin" / "python"), "-c", f"import {', '.join(runtime.imports)}"])
        if lines is not None:
            raise CannotBuild(f"The runtime {runtime.name} was built but does not work: {shortened(lines)}")

    def _run(self, command: Sequence[str]) -> list[str] | None:
        """Run a command; return its last lines when it failed."""
        process = subprocess.Popen(  # noqa: S603 - our own commands
            ending_with_us(command),
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            umask=READABLE,
        )
        return followed(process, self.say)


PIP_OPTIONS = (
    "--no-input",
    "--disable-pip-version-check",
    "--progress-bar",
    "off",
    "--no-warn-script-location",
)


def followed(process: subprocess.Popen[bytes], say: Say) -> list[str] | None:
    """Pass a process's lines on until it ends; return the last ones when it failed. It ends with us."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    try:
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        with process.stdout as lines:
            for raw in lines:
                line = raw.decode("utf-8", "replace").rstrip()
                if line:
                    say(line)
                    last.append(line)
        return list(last) if process.wait() else None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def choose(runtime: Runtime, found: Mapping[str, Interpreter]) -> Interpreter:
    """Return the best Python for a runtime.

    Raises:
        CannotBuild: there is none; says which runtimes can be had here.
    """
    for python in runtime.pythons:
        if python in found:
            return found[python]
    framework = runtime.name.partition(":")[0]
    possible = [
        one.name
        for one in RUNTIMES.values()
        if one.name.startswith(framework) and any(python in found for python in one.pythons)
    ]
    here = f" Here, {', '.join(possible)} can be had." if possible else ""
    raise CannotBuild(
        f"The runtime {runtime.name} needs Python {_alternatives(runtime.pythons)}; this machine has "
        f"{_alternatives(sorted(found, key=_as_numbers)) or 'none'}.{here} Install one of those Pythons "
        f"(for example `pyenv install {runtime.pythons[0]}`), or choose another framework version."
    )


def failed(name: str, remedy: str, lines: Sequence[str]) -> CannotBuild:
    """Return why the installer failed, in one sentence with its last lines.

    What a runtime holds is in the package index: where none of its releases is found, no index was.
    """
    if is_offline(lines) or any("(from versions: none)" in line for line in lines):
        return CannotBuild(
            f"The runtime {name} is not there yet and cannot be built, because the package index "
            f"could not be reached. Run `{remedy}` once while it can be, and try again. "
            f"Pip said: {shortened(lines)}"
        )
    return CannotBuild(f"The runtime {name} could not be built. Pip's last lines: {shortened(lines)}")


def is_offline(lines: Sequence[str]) -> bool:
    """Say whether an installer's lines tell that it could not reach its index."""
    return any(_OFFLINE.search(line) for line in lines)


def shortened(lines: Sequence[str]) -> str:
    """Return the end of some lines that fits into FailureReason."""
    return "\n".join(lines)[-_REASON // 2 :]


def _read(path: Path) -> Environment | None:
    value = read_json(path / "built.json")
    if value is None:
        return None
    with suppress(TypeError):
        return Environment(**{**value, "path": str(path), "requirements": tuple(value["requirements"])})
    return None


def _is_current(environment: Environment, runtime: Runtime) -> bool:
    python = environment.version.rpartition(".")[0]
    return (
        python in runtime.pythons
        and runtime.requirements_for(python) == environment.requirements
        and os.access(environment.python, os.X_OK)
    )


def _alternatives(names: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
