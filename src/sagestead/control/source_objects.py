"""The objects that jobs are given: found by address, brought into folders.

Rule: what cannot be found or placed is one sentence, `BadInput`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json, Resource
from sagestead.planning.inputs import (
    MANIFEST_LIMIT,
    BadInput,
    Input,
    file_parts,
    none_found,
    of_manifest,
    split_uri,
    under_prefix,
)
from sagestead.ports import Objects


@dataclass(frozen=True, slots=True)
class SourceObjects:
    """What the account of a job may read. Safe to use from several threads."""

    objects: Objects

    def inputs(self, job: Resource, source: Json) -> list[Input]:
        """Return the objects of an S3DataSource, in order; of which there is at least one."""
        account, uri = job.key.account, source["S3Uri"]
        bucket, prefix = split_uri(uri)
        if source.get("S3DataType") == "ManifestFile":
            found = of_manifest(self.manifest(job, source), uri)
        elif self.objects.has_bucket(account, bucket):
            keys = [item.key for item in self.objects.list(account, bucket, prefix)]
            found = under_prefix(bucket, prefix, keys)
        else:
            found = []
        if not found:
            raise self.nothing(job, source)
        return found

    def manifest(self, job: Resource, source: Json) -> bytes:
        """Return the content of a manifest."""
        bucket, key = split_uri(source["S3Uri"])
        try:
            return self.objects.read(job.key.account, bucket, key, MANIFEST_LIMIT)
        except KeyError as fault:
            raise self.nothing(job, source) from fault
        except Invalid as refusal:
            raise BadInput(refusal.sentence) from refusal

    @staticmethod
    def nothing(job: Resource, source: Json) -> BadInput:
        """Return what is said when a source has no objects."""
        uri = source["S3Uri"]
        return BadInput(none_found(uri, split_uri(uri)[0], job.key.region, job.spec.get("RoleArn")))

    def fetch(self, account: str, bucket: str, key: str, destination: Path) -> str:
        """Bring one object; return its SHA-256 in hex."""
        destination.unlink(missing_ok=True)
        try:
            return self.objects.fetch(account, bucket, key, destination)
        except KeyError as fault:
            raise BadInput(f"Could not find data at s3://{bucket}/{key}.") from fault

    def place(self, job: Resource, items: Iterable[Input], folder: Path, kept: dict[str, Path]) -> None:
        """Bring objects under their names into a folder; those in `kept`, by address, are there already."""
        for item in items:
            path = folder.joinpath(*file_parts(item))
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self.bring(job, item, path, kept)
            except (FileExistsError, NotADirectoryError, IsADirectoryError) as fault:
                raise BadInput(
                    f"The object {item.uri} cannot be a file, because another object's key makes that path a "
                    "folder. Give one of them another key."
                ) from fault

    def bring(self, job: Resource, item: Input, path: Path, kept: dict[str, Path]) -> None:
        """Bring one object to a path, or give what is in `kept` another name."""
        if item.uri in kept:
            link(kept[item.uri], path)
        else:
            self.fetch(job.key.account, item.bucket, item.key, path)
            kept[item.uri] = path


def link(source: Path, destination: Path) -> None:
    """Give a file a second name; where the file system cannot, copy it."""
    destination.unlink(missing_ok=True)
    try:
        os.link(source, destination)
    except FileExistsError:
        raise
    except OSError:
        shutil.copyfile(source, destination)
