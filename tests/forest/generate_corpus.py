"""Write the corpus of one XGBoost version: small models in each of its formats, with its own predictions.

Run in an environment that has the version and NumPy, on any Python from 3.6 on (hence the plain style):

    python generate_corpus.py FOLDER [all]
    python generate_corpus.py FOLDER pack    (once, after all versions)

The first writes FOLDER/<version>.zip: `rows.json` (20 rows of 5 columns, NaN as null; and rows of
categories), the files of the models as `<case>.<format>`, and `cases.json`, which says for each case its
files, what XGBoost predicted for the rows (transformed and as margin) and with how many trees. Each model is
kept in two of the formats, taken in turn, unless `all` are asked for. The second puts the archives of all
versions into one `corpus/models.tar.xz`, which the tests read.
"""

# ruff: noqa: UP006 - Python 3.6 knows no other generics

import io
import json
import pickle
import sys
import tarfile
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Tuple  # noqa: UP035 - Python 3.6 knows only these

import numpy as np
import xgboost as xgb

VERSION = tuple(int(part) for part in xgb.__version__.split(".")[:2])
ROWS = 200
SHOWN = 20
ROUNDS = 3

OBJECTIVES = (
    ("reg:linear", (0, 0), "positive"),
    ("reg:squarederror", (0, 90), "positive"),
    ("reg:squaredlogerror", (1, 0), "positive"),
    ("reg:pseudohubererror", (1, 2), "positive"),
    ("reg:absoluteerror", (1, 7), "positive"),
    ("reg:logistic", (0, 0), "binary"),
    ("binary:logistic", (0, 0), "binary"),
    ("binary:logitraw", (0, 0), "binary"),
    ("binary:hinge", (0, 80), "binary"),
    ("count:poisson", (0, 0), "count"),
    ("reg:gamma", (0, 0), "positive"),
    ("reg:tweedie", (0, 0), "positive"),
    ("survival:cox", (0, 0), "positive"),
    ("survival:aft", (1, 2), "bounds"),
    ("rank:pairwise", (0, 0), "ranks"),
    ("rank:ndcg", (0, 0), "ranks"),
    ("rank:map", (0, 0), "relevant"),
    ("multi:softmax", (0, 0), "classes"),
    ("multi:softprob", (0, 0), "classes"),
)


def table(seed: int) -> Any:
    """Return 200 rows of 5 columns, a tenth of the cells missing."""
    random = np.random.RandomState(seed)
    rows = random.normal(size=(ROWS, 5)).astype(np.float32).round(2)
    rows[random.uniform(size=rows.shape) < 0.1] = np.nan
    return rows


def labelled(rows: Any, kind: str) -> Any:
    """Return training data whose labels suit an objective."""
    signal = np.nansum(rows * [1.0, -0.5, 0.25, 0.7, 0.1], axis=1) + 0.5 * (np.nan_to_num(rows[:, 0]) > 0)
    ordinal = np.digitize(signal, [-0.5, 0.5])
    labels = {
        "positive": np.exp(signal / 4),
        "binary": signal > 0,
        "count": np.floor(np.exp(signal / 2)),
        "bounds": np.exp(signal / 4),
        "ranks": ordinal,
        "relevant": signal > 0,
        "classes": ordinal,
    }[kind].astype(np.float32)
    data = xgb.DMatrix(rows, label=labels, nthread=1)
    if kind in ("ranks", "relevant"):
        data.set_group([20] * (ROWS // 20))
    if kind == "bounds":
        data.set_float_info("label_lower_bound", labels)
        data.set_float_info("label_upper_bound", labels * np.where(signal > 0, 1.0, 2.0).astype(np.float32))
    return data


def plain_cases() -> List[Tuple[str, Dict[str, Any], str, Dict[str, Any]]]:
    """Return (name, parameters, kind of labels, keyword arguments of `train`) of models on numbers."""
    found: List[Tuple[str, Dict[str, Any], str, Dict[str, Any]]] = []
    for number, (objective, since, kind) in enumerate(OBJECTIVES):
        if since > VERSION or (objective == "reg:linear" and VERSION >= (1, 0)):
            continue
        params: Dict[str, Any] = {"objective": objective}
        if kind == "classes":
            params["num_class"] = 3
        name = objective.replace(":", "-")
        if number % 2:
            params["base_score"] = 0.3
        found.append((name, dict(params), kind, {}))
        if objective in ("reg:linear", "reg:squarederror", "binary:logistic", "multi:softprob"):
            dart = dict(params, booster="dart", rate_drop=0.5, one_drop=1)
            found.append((name + "-dart", dart, kind, {}))
            found.append((name + "-gblinear", dict(params, booster="gblinear"), kind, {}))
        if objective in ("binary:logistic", "multi:softprob"):
            forest = dict(params, num_parallel_tree=2, subsample=0.7)
            found.append((name + "-forest", forest, kind, {}))
            found.append((name + "-best", dict(params, eta=1.5), kind, {"early": True}))
            found.append((name + "-best-forest", dict(forest, eta=2.0), kind, {"early": True}))
    found.append(
        ("pruned", {"tree_method": "exact", "gamma": 1.0, "max_depth": 4, "base_score": 0.7}, "positive", {})
    )
    found.append(("single-leaf", {"gamma": 1e6, "base_score": 0.7}, "positive", {}))
    found.append(("no-rounds", {"base_score": 0.25}, "positive", {"rounds": 0}))
    found.append(("named", {"base_score": 0.5}, "positive", {"names": ["a", "b b", "c", "d\u00e9", "e"]}))
    return found


def category_table() -> Any:
    """Return rows whose first two columns are category codes (below 7 and below 40), some missing."""
    random = np.random.RandomState(5)
    rows = table(6)
    rows[:, 0] = random.randint(0, 7, ROWS)
    rows[:, 1] = random.randint(0, 40, ROWS)
    rows[random.uniform(size=rows.shape) < 0.05] = np.nan
    return rows


def category_models(rows: Any) -> List[Tuple[str, Any]]:
    """Return (name, booster) of models with categorical splits, where the version has them on the CPU."""
    if VERSION < (1, 5):
        return []
    signal = (
        np.sin(np.nan_to_num(rows[:, 0]) * 2) + np.cos(np.nan_to_num(rows[:, 1])) + np.nan_to_num(rows[:, 2])
    )
    types = ["c", "c", "q", "q", "q"]
    made = []
    for name, limit in (("one-hot", 100), ("partition", 1)):
        params: Dict[str, Any] = {
            "tree_method": "approx" if VERSION < (1, 6) else "hist",
            "max_depth": 3,
            "nthread": 1,
        }
        params["base_score"] = 0.5
        if VERSION >= (1, 6):
            params["max_cat_to_onehot"] = limit
        elif name == "partition":
            continue
        data = xgb.DMatrix(rows, label=signal, feature_types=types, enable_categorical=True, nthread=1)
        made.append(("categories-" + name, xgb.train(params, data, 3)))
    return made


def trained(case: Tuple[str, Dict[str, Any], str, Dict[str, Any]]) -> Any:
    """Train one of the plain cases."""
    _, params, kind, options = case
    params = dict(params, seed=7, nthread=1)
    params.setdefault("max_depth", 2)
    params["silent" if VERSION < (1, 0) else "verbosity"] = 1 if VERSION < (1, 0) else 0
    data = labelled(table(1), kind)
    if "names" in options:
        data.feature_names = options["names"]
    if "early" in options:
        watched = [(labelled(table(2)[::-1], kind), "validation")]
        return xgb.train(params, data, 5, watched, early_stopping_rounds=2, verbose_eval=False)
    return xgb.train(params, data, options.get("rounds", ROUNDS))


def limit(booster: Any, name: str) -> Dict[str, Any]:
    """Return the keyword argument that predicts with the best iteration, as the containers do."""
    if name.endswith("-gblinear"):
        return {}
    try:
        best = int(booster.best_iteration)
    except AttributeError:
        return {}
    if VERSION < (1, 4):
        return {"ntree_limit": int(booster.best_ntree_limit)}
    return {"iteration_range": (0, best + 1)}


def trees_of_round(params: Dict[str, Any]) -> int:
    """Return how many trees a round grows."""
    return int(params.get("num_parallel_tree", 1) * params.get("num_class", 1))


def rounds_used(booster: Any, name: str) -> int:
    """Return how many rounds of trees `limit` leaves."""
    if name.endswith("-gblinear"):
        return 0
    try:
        return int(booster.best_iteration) + 1
    except AttributeError:
        return 0 if name == "no-rounds" else ROUNDS


def written(booster: Any, number: int, *, everything: bool) -> Dict[str, bytes]:
    """Return the model in formats that the version writes (format -> bytes)."""
    protocol = (4, 2, 3, 0)[number % 4]
    files = {f"pickle{protocol}": pickle.dumps(booster, protocol)}
    names = {}
    if VERSION < (3, 1) and not any(kind == "c" for kind in booster.feature_types or ()):
        names["bin"] = "m.model" if VERSION < (2, 1) else "m.deprecated"
    if VERSION >= (1, 0):
        names["json"] = "m.json"
    if VERSION >= (1, 6):
        names["ubj"] = "m.ubj"
    with tempfile.TemporaryDirectory() as folder:
        for suffix, name in names.items():
            path = Path(folder) / name
            booster.save_model(str(path))
            files[suffix] = path.read_bytes()
    turn = sorted(files)
    kept = turn if everything else [turn[(number + step) % len(turn)] for step in (0, 1)]
    return {suffix: files[suffix] for suffix in kept}


def numbers(values: Any) -> Any:
    """Return an array as lists; NaN and infinities as text."""
    return json.loads(json.dumps(np.asarray(values, np.float64).tolist()), parse_constant=str)


def main(folder: str, *, everything: bool) -> None:
    """Write the corpus of the installed version."""
    warnings.simplefilter("ignore")
    rows = table(3)[:SHOWN]
    categories = category_table()
    models = [(case[0], trained(case), rows, trees_of_round(case[1])) for case in plain_cases()]
    models += [(name, booster, categories[:SHOWN], 1) for name, booster in category_models(categories)]
    cases = {}
    path = Path(folder) / (xgb.__version__ + ".zip")
    with zipfile.ZipFile(str(path), "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, booster, shown, per_round) in enumerate(models):
            types = ["c", "c", "q", "q", "q"] if shown is not rows else None
            extra = {"enable_categorical": True} if types else {}
            data = xgb.DMatrix(
                shown, feature_names=booster.feature_names, feature_types=types, nthread=1, **extra
            )
            best = limit(booster, name)
            files = written(booster, number, everything=everything)
            for suffix, content in files.items():
                archive.writestr(f"{name}.{suffix}", content)
            cases[name] = {
                "files": sorted(files),
                "rows": "categories" if types else "numbers",
                "prediction": numbers(booster.predict(data, **best)),
                "margin": numbers(booster.predict(data, output_margin=True, **best)),
                "trees": per_round * rounds_used(booster, name),
            }
        archive.writestr("cases.json", json.dumps({"version": xgb.__version__, "cases": cases}))
        shown_rows = {"numbers": numbers(rows), "categories": numbers(categories[:SHOWN])}
        archive.writestr("rows.json", json.dumps(shown_rows))


def pack(folder: str) -> None:
    """Put the archives of a folder into the corpus of the tests, the same bytes for the same content."""
    target = Path(__file__).with_name("corpus") / "models.tar.xz"
    with tarfile.open(target, "w:xz", preset=9) as corpus:
        for path in sorted(Path(folder).glob("*.zip")):
            with zipfile.ZipFile(path) as archive:
                for member in sorted(archive.namelist()):
                    entry = tarfile.TarInfo(f"{path.stem}/{member}")
                    content = archive.read(member)
                    entry.size = len(content)
                    corpus.addfile(entry, io.BytesIO(content))


if __name__ == "__main__":
    if sys.argv[2:] == ["pack"]:
        pack(sys.argv[1])
    else:
        main(sys.argv[1], everything=sys.argv[2:] == ["all"])
