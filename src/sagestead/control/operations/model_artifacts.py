"""Where a container's model.tar.gz lies, however a request says it: of models and of model packages."""

from __future__ import annotations

from sagestead.control.operations.carried_out import refuse_others, refused
from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json
from sagestead.domain.s3_uri import Location, locate

_SOURCE = frozenset({"S3Uri", "S3DataType", "CompressionType"})


def artifact_of(container: Json, path: str) -> Location | None:
    """Return the artifact of a container whose members are at `path`; None when it names none."""
    url, source = container.get("ModelDataUrl"), container.get("ModelDataSource", {}).get("S3DataSource")
    if url and source:
        raise Invalid(f"{path}ModelDataUrl and {path}ModelDataSource exclude each other; keep one.")
    if url:
        return _object(url, f"{path}ModelDataUrl")
    if not source:
        return None
    at = f"{path}ModelDataSource.S3DataSource."
    refuse_others(source, _SOURCE, at)
    if source["S3DataType"] != "S3Object":
        remedy = "pack the files into one model.tar.gz and give it as S3Object with CompressionType Gzip"
        raise refused(f"{at}S3DataType", source["S3DataType"], remedy)
    if source["CompressionType"] != "Gzip":
        raise refused(f"{at}CompressionType", source["CompressionType"], "give a model.tar.gz and Gzip")
    return _object(source["S3Uri"], f"{at}S3Uri")


def missing(place: Location) -> Invalid:
    """Return the refusal of an artifact that is not there."""
    return Invalid(f"Could not find model data at {place}.")


def _object(uri: str, field: str) -> Location:
    place = locate(uri, field)
    if not place.key or place.key.endswith("/"):
        raise Invalid(f"{field} '{uri}' names no object; give the whole address of one model.tar.gz.")
    return place
