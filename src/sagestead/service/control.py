"""The control process: prepares the data folder when the service starts, then runs the reconciler.

It says on standard output how far it is: `prepared`, then `ready`; or `cannot` and why, in one sentence. When
models were prepared by a program with another layout, it is ready once they are prepared again, or after
`RENEWAL_SECONDS`.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from types import FrameType

from sagestead.control.accounts import open_account
from sagestead.control.reconciler.loop import Reconciler
from sagestead.engines.process.engine import ProcessEngine
from sagestead.forest.version import VERSION
from sagestead.optimizer import suggest
from sagestead.planning.programs import Program, Programs
from sagestead.service import lifeline
from sagestead.service.acting import acting
from sagestead.service.adapters import Adapters, Unusable, open_adapters
from sagestead.settings import Settings
from sagestead.telemetry import start_logging
from sagestead.worker.run_folder import read_json, write_json

RENEWAL_SECONDS = 20.0

log = logging.getLogger(__name__)

PROGRAMS = {
    "xgboost": Program(
        load="sagestead.algorithms.xgboost.hosting:mapped",
        prepare="sagestead.algorithms.xgboost.hosting:prepare",
        train="sagestead.algorithms.xgboost.training:train",
        layout=str(VERSION),
    ),
}


def main() -> None:
    """Run until SIGTERM or the end of the supervisor. Argument: the settings.

    Standard input: `prepare` when nobody else uses the data folder yet.
    """
    settings = Settings.from_json(sys.argv[1])
    start_logging("control", settings.folder.log)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())  # also while the folder is being prepared
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lifeline.watch(lambda: os._exit(1))
    try:
        adapters = open_adapters(settings, "control")
    except Unusable as reason:
        _say(f"cannot {reason}")
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()
        adapters.database.wake()

    signal.signal(signal.SIGTERM, stop)
    if sys.stdin.readline() == "prepare\n":
        _prepare(settings, adapters)
    _say("prepared")
    engine = ProcessEngine(settings.folder.runs, time.time)
    engine.start()
    reconciler = Reconciler(
        resources=adapters.resources,
        routes=adapters.routes,
        engine=engine,
        objects=adapters.objects,
        logs=adapters.logs,
        metrics=adapters.metrics,
        clock=time.time,
        programs=programs_of(settings),
        cores=os.cpu_count() or 1,
        suggest=suggest,
        act_for=acting(adapters),
    )
    threading.Thread(target=_open, args=(settings, reconciler), name="opening", daemon=True).start()
    try:
        reconciler.run(stopping)
    finally:
        engine.close()


def programs_of(settings: Settings) -> Programs:
    """Return the programs; where every instance is to be a process, none prepares its models."""
    if settings.hosting == "inline":
        return PROGRAMS
    return {name: replace(program, prepare=None) for name, program in PROGRAMS.items()}


def _open(settings: Settings, reconciler: Reconciler) -> None:
    """Say `ready` as soon as prepared models can be opened."""
    layouts = {name: program.layout for name, program in programs_of(settings).items()}
    is_other = read_json(settings.folder.layouts) != layouts
    if is_other and not reconciler.renewed(RENEWAL_SECONDS):
        log.warning("models are still being prepared again; their endpoints answer 503 until then")
    elif is_other:
        write_json(settings.folder.layouts, layouts)
    _say("ready")


def _prepare(settings: Settings, adapters: Adapters) -> None:
    """Remove what a crash left behind and make the account, before anybody is served."""
    adapters.objects.collect_orphans()
    open_account(adapters.resources, adapters.credentials, settings.account, round(time.time(), 3))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
