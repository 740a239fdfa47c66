from __future__ import annotations

import json
import time

from tests.control.reconciler.world import REGION, World, endpoint_spec, variant

from sagestead.control.markers import read_marker
from sagestead.control.staging import MARKER, Staging
from sagestead.domain.resources import Key, Kind, Resource, resource_arn
from sagestead.planning.steps import Staged, StageInstance

KEY = Key(Kind.ENDPOINT, "123456789012", REGION, "staged")


def stage(world: World, uri: str, digest: str | None) -> Staged:
    endpoint = Resource(KEY, resource_arn(KEY), endpoint_spec("c", variant(uri)))
    step = StageInstance("endpoint/staged/0", uri, "endpoint/staged/artifacts", digest)
    Staging(world.engine, world.objects, time.time).instance(endpoint, step)
    staged = read_marker(world.engine.folder(step.run_id) / MARKER, Staged.from_json)
    assert staged is not None
    return staged


def test_an_artifact_that_changed_is_refused_once_its_digest_is_pinned(still: World) -> None:
    uri = still.put_model("pinned.tar.gz", b"one")
    first = stage(still, uri, None)
    still.put_model("pinned.tar.gz", b"two")
    assert stage(still, uri, first.digest).digest == first.digest
    still.engine.forget("endpoint/staged/artifacts")
    refused = stage(still, uri, first.digest)
    assert refused.error is not None
    assert refused.error.startswith(
        f"The object {uri} changed since this endpoint was deployed: its SHA-256 was"
    )
    still.put_model("pinned.tar.gz", b"one")
    for run_id in ("endpoint/staged/0", "endpoint/staged/artifacts"):
        still.engine.forget(run_id)


def test_a_marker_that_a_power_cut_tore_counts_as_absent(still: World) -> None:
    path = still.folder / "torn.json"
    for content in (b"", b'{"at": 1', b"\xff"):
        path.write_bytes(content)
        assert read_marker(path, Staged.from_json) is None
    path.write_text(json.dumps(Staged(1.0, "d").to_json()))
    assert read_marker(path, Staged.from_json) == Staged(1.0, "d")
