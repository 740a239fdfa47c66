from __future__ import annotations

import json
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagestead.planning.inputs import (
    BadInput,
    Input,
    file_parts,
    in_channel,
    none_found,
    of_manifest,
    shared_out,
    split_uri,
    under_prefix,
)


@pytest.mark.parametrize(
    ("prefix", "keys", "names"),
    [
        ("p/", ["p/a.csv", "p/x/y.csv"], ["a.csv", "x/y.csv"]),
        ("p/a.csv", ["p/a.csv"], ["a.csv"]),
        ("p/tr", ["p/train.csv", "p/train2.csv"], ["train.csv", "train2.csv"]),
        ("", ["a.csv"], ["a.csv"]),
        ("p/", ["p/", "p/x/", "p/x/y"], ["x/y"]),
    ],
)
def test_objects_are_named_by_what_follows_the_prefix(prefix: str, keys: list[str], names: list[str]) -> None:
    assert [item.name for item in under_prefix("b", prefix, keys)] == names


def test_a_channel_leaves_out_the_folder_that_its_prefix_names() -> None:
    keys = ["p/train/a.csv", "p/train/x/b.csv", "p/train2.csv"]
    found = in_channel({"S3Uri": "s3://b/p/train"}, under_prefix("b", "p/train", keys))
    assert [item.name for item in found] == ["a.csv", "x/b.csv", "train2.csv"]


def test_a_manifest_keeps_its_order() -> None:
    content = json.dumps([{"prefix": "s3://b/p/"}, "z.csv", "a/b.csv"]).encode()
    assert of_manifest(content, "s3://b/m") == [
        Input("b", "p/z.csv", "z.csv"),
        Input("b", "p/a/b.csv", "a/b.csv"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'["x"]',
        b'[{"prefix": 1}]',
        b'[{"prefix": "s3://b/"}, 1]',
        b"\xff",
        b"[" * 9999,
        b'[{"prefix": "s3://b/"}, "\\ud800"]',
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        of_manifest(content, "s3://b/m")


@given(st.text(alphabet=st.sampled_from("a./\0\\~ \N{SNOWMAN}"), max_size=12))
def test_no_key_leads_out_of_the_folder(name: str) -> None:
    try:
        parts = file_parts(Input("b", name, name))
    except BadInput:
        return
    assert "/".join(parts) == name
    assert ".." not in PurePosixPath(*parts).parts
    assert not PurePosixPath(*parts).is_absolute()


@given(st.lists(st.integers()), st.integers(1, 5))
def test_every_object_has_one_share(items: list[int], count: int) -> None:
    shares = shared_out(items, count)
    assert len(shares) == count
    assert sorted(item for share in shares for item in share) == sorted(items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_an_address_elsewhere_is_refused() -> None:
    with pytest.raises(BadInput, match="is not an S3 URI"):
        split_uri("https://example.com/x")
    assert split_uri("s3://b/p/x") == ("b", "p/x")


def test_the_sentence_for_nothing_found() -> None:
    assert none_found("s3://b/p", "b", "eu-west-1", "arn:aws:iam::1:role/r") == (
        'No S3 objects found under S3 URL "s3://b/p" given in input data source. Please ensure that the '
        "bucket exists in the selected region (eu-west-1), that objects exist under that S3 prefix, and that "
        'the role "arn:aws:iam::1:role/r" has "s3:ListBucket" permissions on bucket "b".'
    )
