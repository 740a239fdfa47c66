"""Draws what a tuning job tried: the objective over time, and where in the search space the trials were.

A program of its own with pandas and matplotlib, and nothing of Sagestead. The arguments are a table of
trials, as `to_csv` saves the SDK's `tuner.analytics().dataframe()`, the name of the objective, and a folder
for the pictures.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

LOGARITHMIC = {"eta": (0.05, 0.1, 0.2, 0.5)}  # and what is written at the axis
SIZE = (8.0, 4.5)
DOTS_PER_INCH = 120


def trials(table: Path) -> Any:  # noqa: ANN401 - a data frame; pandas is the client's
    """Return the trials that have a value, in the order in which they ended, best so far beside each."""
    import pandas as pd  # noqa: PLC0415 - only the client's environment has it

    frame = pd.read_csv(table, parse_dates=["TrainingStartTime", "TrainingEndTime"])
    frame = frame.dropna(subset=["FinalObjectiveValue"]).sort_values("TrainingEndTime")
    begin = frame["TrainingStartTime"].min()
    frame["Seconds"] = (frame["TrainingEndTime"] - begin).dt.total_seconds()
    frame["Best"] = frame["FinalObjectiveValue"].cummax()
    return frame


def objective_over_time(plt: Any, frame: Any, objective: str, picture: Path) -> None:  # noqa: ANN401 - untyped
    """Draw each trial when it ended, and the best until then as a line."""
    figure, axes = plt.subplots(figsize=SIZE, layout="constrained")
    axes.step(frame["Seconds"], frame["Best"], where="post", color="tab:orange", label="best so far")
    axes.scatter(frame["Seconds"], frame["FinalObjectiveValue"], color="tab:blue", label="trial")
    axes.set(xlabel="seconds since the first trial began", ylabel=objective, title="Objective over time")
    axes.legend(loc="lower right")
    figure.savefig(picture, dpi=DOTS_PER_INCH)


def search_space(plt: Any, frame: Any, objective: str, picture: Path) -> None:  # noqa: ANN401 - untyped
    """Draw a panel for each hyperparameter: its value against the objective, later trials lighter."""
    last = list(frame.columns).index("TrainingJobName")
    names = [name for name in frame.columns[:last] if not name.startswith("Unnamed")]
    figure, panels = plt.subplots(
        1, len(names), figsize=SIZE, sharey=True, layout="constrained", squeeze=False
    )
    for name, axes in zip(names, panels[0], strict=True):
        shown = axes.scatter(frame[name], frame["FinalObjectiveValue"], c=range(1, len(frame) + 1))
        axes.set_xlabel(name)
        if name in LOGARITHMIC:
            axes.set_xscale("log")
            axes.set_xticks(LOGARITHMIC[name], labels=[str(tick) for tick in LOGARITHMIC[name]])
            axes.minorticks_off()
    panels[0][0].set_ylabel(objective)
    figure.colorbar(shown, ax=list(panels[0]), label="trial, in the order of ending")
    figure.suptitle("Search space")
    figure.savefig(picture, dpi=DOTS_PER_INCH)


def main(table: Path, objective: str, folder: Path) -> None:
    """Write `objective.png` and `search-space.png`."""
    import matplotlib as mpl  # noqa: PLC0415 - the same

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of a backend without a screen

    frame = trials(table)
    objective_over_time(plt, frame, objective, folder / "objective.png")
    search_space(plt, frame, objective, folder / "search-space.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
