"""Search: what expressions mean, held against plain definitions, and pages against whole orders."""

import itertools
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagestead.domain.errors import Invalid
from sagestead.domain.resources import Json
from sagestead.domain.search import Property, Row, Sort, first, matches, parse, pinned, value_of

SORTS = {
    "Name": Sort.TEXT,
    "Count": Sort.NUMBER,
    "Made": Sort.TIME,
    "Spot": Sort.FLAG,
    "Channels": Sort.STRUCTURE,
    "Channels.Name": Sort.TEXT,
    "Channels.Type": Sort.TEXT,
}


def find(name: str) -> Property:
    first_part, _, rest = name.partition(".")
    if first_part == "Tags":
        return Property(name, ("Tags", rest), Sort.TEXT)
    if first_part == "HyperParameters":
        return Property(name, ("HyperParameters", rest), Sort.LOOSE)
    if name not in SORTS:
        raise Invalid(f"Unknown property '{name}'")
    return Property(name, tuple(name.split(".")), SORTS[name])


def is_found(record: Json, expression: Json) -> bool:
    return matches(parse(expression, find), record)


def one(name: str, operator: str | None = None, value: str | None = None) -> Json:
    given_members = {"Name": name, "Operator": operator, "Value": value}
    return {member: text for member, text in given_members.items() if text is not None}


RECORD = {
    "Name": "cats-1",
    "Count": 3,
    "Made": 1_700_000_000.25,
    "Spot": False,
    "Tags": {"team": "a.b", "a.b": "c"},
    "HyperParameters": {"eta": "0.5", "depth": "6", "booster": "gbtree"},
    "Channels": [{"Name": "train", "Type": "csv"}, {"Name": "validation", "Type": "libsvm"}],
}


@pytest.mark.parametrize(
    ("condition", "is_true"),
    [
        (one("Name", None, "cats-1"), True),
        (one("Name", "Equals", "Cats-1"), False),
        (one("Name", "NotEquals", "dogs"), True),
        (one("Name", "Contains", "ats"), True),
        (one("Name", "In", "dogs, cats-1"), True),
        (one("Name", "In", "dogs,cats"), False),
        (one("Count", "Equals", "3.0"), True),
        (one("Count", "GreaterThan", "2"), True),
        (one("Count", "GreaterThanOrEqualTo", "3"), True),
        (one("Count", "LessThan", "3"), False),
        (one("Count", "LessThanOrEqualTo", "3"), True),
        (one("Made", "Equals", "2023-11-14T22:13:20"), True),
        (one("Made", "GreaterThan", "2023-11-14T22:13:20"), False),
        (one("Made", "GreaterThan", "2023-11-14T22:13:19Z"), True),
        (one("Made", "LessThan", "2023-11-14T23:13:21+01:00"), True),
        (one("Spot", "Equals", "false"), True),
        (one("Spot", "Exists"), True),
        (one("Spot", "NotEquals", "false"), False),
        (one("Tags.team", "Equals", "a.b"), True),
        (one("Tags.a.b", "Equals", "c"), True),
        (one("Tags.none", "NotExists"), True),
        (one("Tags.none", "NotEquals", "x"), True),
        (one("HyperParameters.eta", "LessThan", "0.6"), True),
        (one("HyperParameters.eta", "LessThan", "1"), True),
        (one("HyperParameters.eta", "Equals", "0"), True),
        (one("HyperParameters.eta", "Equals", "0.5"), True),
        (one("HyperParameters.eta", "Equals", "0.0"), False),
        (one("HyperParameters.depth", "GreaterThan", "5"), True),
        (one("HyperParameters.booster", "Equals", "gbtree"), True),
        (one("HyperParameters.booster", "GreaterThan", "5"), False),
        (one("HyperParameters.none", "Exists"), False),
        (one("Channels.Type", "Equals", "libsvm"), True),
        (one("Channels.Type", "NotEquals", "libsvm"), False),
    ],
)
def test_a_filter_means_what_aws_says(condition: Json, is_true: bool) -> None:  # noqa: FBT001 - an expectation
    assert is_found(RECORD, {"Filters": [condition]}) is is_true


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (one("Nmae", "Exists"), "Unknown property 'Nmae'"),
        (one("Name", "GreaterThan", "a"), "Operator GreaterThan does not go with 'Name', which is a text"),
        (one("Count", "Contains", "3"), "Operator Contains does not go with 'Count'"),
        (one("Count", "Equals", "three"), "Value 'three' of filter 'Count' is not a number"),
        (one("Count", "Equals", "nan"), "is not a number"),
        (one("Made", "Equals", "yesterday"), "write it as 2026-01-31T23:59:59"),
        (one("Spot", "Equals", "maybe"), "write true or false"),
        (one("Spot", "Exists", "x"), "Exists takes no Value"),
        (one("Name", "Equals"), "Equals needs a Value"),
        (one("Channels", "Equals", "x"), "which is a structure"),
        (one("HyperParameters.eta", "LessThan", "x"), "number, which this operator needs"),
    ],
)
def test_what_means_nothing_is_refused(condition: Json, sentence: str) -> None:
    with pytest.raises(Invalid, match=r".") as refused:
        parse({"Filters": [condition]}, find)
    assert sentence in refused.value.sentence


def test_nested_filters_hold_on_one_element() -> None:
    def nested(name: str, kind: str) -> Json:
        filters = [one("Channels.Name", "Equals", name), one("Channels.Type", "Equals", kind)]
        return {"NestedFilters": [{"NestedPropertyName": "Channels", "Filters": filters}]}

    assert is_found(RECORD, nested("train", "csv"))
    assert not is_found(RECORD, nested("train", "libsvm"))
    outside: Json = {"NestedPropertyName": "Channels", "Filters": [one("Name", "Equals", "x")]}
    with pytest.raises(Invalid, match="not inside of NestedPropertyName"):
        parse({"NestedFilters": [outside]}, find)
    with pytest.raises(Invalid, match="no list of structures"):
        parse({"NestedFilters": [{**outside, "NestedPropertyName": "Name"}]}, find)


def test_filters_are_counted_over_the_whole_expression() -> None:
    twenty = {"Filters": [one("Name", "Exists")] * 20}
    assert is_found(RECORD, {**twenty, "SubExpressions": [twenty]})
    with pytest.raises(Invalid, match="60 filters in all"):
        parse({**twenty, "SubExpressions": [{"SubExpressions": [twenty, twenty]}]}, find)


TEXTS = st.sampled_from(["a", "b", "ab", "ba"])
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "Name": TEXTS,
        "Count": st.integers(-3, 3) | st.floats(-3, 3),
        "HyperParameters": st.dictionaries(
            st.sampled_from(["a", "b"]), TEXTS | st.sampled_from(["1", "1.5", "2"])
        ),
        "Channels": st.lists(st.fixed_dictionaries({}, optional={"Name": TEXTS, "Type": TEXTS}), max_size=3),
    },
)
NAMES = st.sampled_from(["Name", "HyperParameters.a", "Channels.Name"])
CONDITIONS = st.builds(
    one, NAMES, st.sampled_from(["Equals", "NotEquals", "Contains", "In"]), TEXTS
) | st.builds(one, NAMES, st.sampled_from(["Exists", "NotExists"]))
GROUPS = st.recursive(
    st.builds(lambda terms: {"Filters": terms}, st.lists(CONDITIONS, min_size=1, max_size=3)),
    lambda inner: st.builds(
        lambda terms, operator: {"SubExpressions": terms, "Operator": operator},
        st.lists(inner, min_size=1, max_size=3),
        st.sampled_from(["And", "Or"]),
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(RECORDS, st.lists(GROUPS, min_size=1, max_size=3))
def test_groups_are_all_and_any_of_their_terms(record: Json, groups: list[Json]) -> None:
    truths = [is_found(record, group) for group in groups]
    assert is_found(record, {"SubExpressions": groups}) is all(truths)
    assert is_found(record, {"SubExpressions": groups, "Operator": "Or"}) is any(truths)


@settings(max_examples=150, deadline=None)
@given(RECORDS, NAMES, TEXTS, TEXTS)
def test_operators_are_each_others_complements_and_sums(record: Json, name: str, a: str, b: str) -> None:
    def holds(operator: str, value: str | None = None) -> bool:
        return is_found(record, {"Filters": [one(name, operator, value)]})

    assert holds("Equals", a) is not holds("NotEquals", a)
    assert holds("Exists") is not holds("NotExists")
    assert holds("In", f"{a},{b}") is (holds("Equals", a) or holds("Equals", b))
    assert holds("Equals", a) <= holds("Contains", a) <= holds("Exists")


@settings(max_examples=150, deadline=None)
@given(RECORDS, st.integers(-3, 3))
def test_numbers_are_below_equal_or_above(record: Json, number: int) -> None:
    def holds(operator: str) -> bool:
        return is_found(record, {"Filters": [one("Count", operator, str(number))]})

    assert holds("LessThan") + holds("Equals") + holds("GreaterThan") == ("Count" in record)
    assert holds("LessThanOrEqualTo") is (holds("LessThan") or holds("Equals"))
    assert holds("GreaterThanOrEqualTo") is (holds("GreaterThan") or holds("Equals"))


VALUES = st.none() | st.integers(0, 2) | st.floats(0, 2) | TEXTS


@settings(max_examples=150, deadline=None)
@given(st.lists(VALUES, max_size=12), st.booleans(), st.integers(1, 4))
def test_pages_together_are_the_whole_order(values: list[Any], descending: bool, limit: int) -> None:  # noqa: FBT001 - drawn
    rows = [Row(value, f"n{number:02}", {}) for number, value in enumerate(values)]
    paged: list[Row] = []
    after = None
    while page := first(iter(rows), after, limit, descending=descending):
        paged += page
        after = (page[-1].value, page[-1].name)
    assert sorted(paged, key=lambda row: row.name) == rows
    assert paged == first(iter(rows), None, len(rows) + 1, descending=descending)
    present = [row.value for row in paged if row.value is not None]
    assert [row.value is None for row in paged] == [False] * len(present) + [True] * (
        len(rows) - len(present)
    )
    numbers = [value for value in present if not isinstance(value, str)]
    assert numbers == sorted(numbers, reverse=descending)
    for row, following in itertools.pairwise(paged):
        assert row.value != following.value or row.name < following.name


def test_an_expression_that_names_one_thing_says_so() -> None:
    by_name = {"Filters": [one("Name", "Equals", "cats"), one("Count", "Exists")]}
    assert pinned(parse(by_name, find), ("Name",)) == "cats"
    assert pinned(parse({**by_name, "Operator": "Or"}, find), ("Name",)) is None
    assert pinned(parse({"Filters": [one("Name", "NotEquals", "cats")]}, find), ("Name",)) is None


def test_what_is_sorted_by_is_the_first_value() -> None:
    assert value_of(RECORD, find("HyperParameters.eta")) == 0.5
    assert value_of(RECORD, find("HyperParameters.booster")) == "gbtree"
    assert value_of(RECORD, find("Channels.Name")) == "train"
    assert value_of(RECORD, find("Tags.none")) is None
    assert value_of({"Count": math.nan}, find("Count")) is None
    with pytest.raises(Invalid, match="SortBy 'Channels' is a structure"):
        value_of(RECORD, find("Channels"))
