"""The control process: the reconciler with its engine."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from sagestead.control.reconciler.loop import Reconciler
from sagestead.engines.process.engine import ProcessEngine
from sagestead.planning.programs import Program
from sagestead.service import lifeline
from sagestead.service.adapters import open_adapters
from sagestead.settings import Settings
from sagestead.telemetry import start_logging

PROGRAMS = {
    "xgboost": Program(
        load="sagestead.algorithms.xgboost.serving:load",
        train="sagestead.algorithms.xgboost.training:train",
    ),
}


def main() -> None:
    """Run until SIGTERM or the end of the supervisor. Argument: the settings; standard output: `ready`."""
    settings = Settings.from_json(sys.argv[1])
    start_logging("control", settings.folder.log)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lifeline.watch(lambda: os._exit(1))
    adapters = open_adapters(settings)
    engine = ProcessEngine(settings.folder.runs, time.time)
    engine.start()
    reconciler = Reconciler(
        resources=adapters.resources,
        routes=adapters.routes,
        engine=engine,
        objects=adapters.objects,
        logs=adapters.logs,
        clock=time.time,
        programs=PROGRAMS,
        cores=os.cpu_count() or 1,
    )
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    try:
        reconciler.run(stopping)
    finally:
        engine.close()


if __name__ == "__main__":
    main()
