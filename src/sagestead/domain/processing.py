"""Processing jobs as data: their hosts, and the places in the container that they read and write.

Rule: a place lies below /opt/ml/processing, named without a way out of it; nothing else of the container is
an input or an output.
"""

from __future__ import annotations

from dataclasses import dataclass

from sagestead.domain.errors import Invalid
from sagestead.domain.images import SKLEARN_TAGS, XGBOOST_TAGS
from sagestead.domain.resources import Json

ROOT = "/opt/ml/processing"
DEFAULT_RUNTIME = 86400
"""Seconds that a job may run when its request does not say."""

_OPT_ML = "/opt/ml/"
_BAD_PARTS = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class Output:
    """A folder whose files are stored.

    Attributes:
        name: OutputName.
        place: where it lies below /opt/ml, without `/` at either end.
        uri: S3 URI that its files are stored under.
        is_continuous: whether they are stored while the job runs.
    """

    name: str
    place: str
    uri: str
    is_continuous: bool


def hosts_of(spec: Json) -> tuple[str, ...]:
    """Return the names of a job's hosts as the platform lists them: as texts in order, `algo-1` first."""
    count: int = cluster_of(spec).get("InstanceCount", 1)
    return tuple(sorted(f"algo-{number}" for number in range(1, count + 1)))


def cluster_of(spec: Json) -> Json:
    """Return the InstanceType and InstanceCount that a request asks for."""
    cluster: Json = spec.get("ProcessingResources", {}).get("ClusterConfig", {})
    return cluster


def command_of(spec: Json) -> tuple[str, ...]:
    """Return what is run: the entrypoint and its arguments."""
    application = spec["AppSpecification"]
    return (*application.get("ContainerEntrypoint", ()), *application.get("ContainerArguments", ()))


def outputs_of(spec: Json) -> tuple[Output, ...]:
    """Return what a job stores."""
    return tuple(
        Output(
            one["OutputName"],
            place_of(one["S3Output"]["LocalPath"], "LocalPath"),
            one["S3Output"]["S3Uri"],
            one["S3Output"]["S3UploadMode"] == "Continuous",
        )
        for one in spec.get("ProcessingOutputConfig", {}).get("Outputs", [])
    )


def place_of(path: str, field: str) -> str:
    """Return a LocalPath relative to /opt/ml, for example `processing/input/data`.

    Raises:
        Invalid: it is no path below /opt/ml/processing; the sentence names `field`.
    """
    parts = path.removesuffix("/").removeprefix(f"{ROOT}/").split("/")
    if not path.startswith(f"{ROOT}/") or "\0" in path or not _BAD_PARTS.isdisjoint(parts):
        raise Invalid(f"{field} '{path}' is not a folder below {ROOT}; write it as {ROOT}/input/data.")
    return path.removesuffix("/").removeprefix(_OPT_ML)


def no_such_image(uri: str) -> str:
    """Return the sentence for an image in which nothing can be processed here."""
    return (
        f"Image {uri} is not one that this server can run programs in. Use scikit-learn: repository "
        f"sagemaker-scikit-learn with tag {', '.join(SKLEARN_TAGS[:-1])} or {SKLEARN_TAGS[-1]} and -cpu-py3 "
        f"behind it, or XGBoost: repository sagemaker-xgboost with tag {', '.join(XGBOOST_TAGS[:-1])} or "
        f"{XGBOOST_TAGS[-1]}."
    )
