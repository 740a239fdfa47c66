"""CloudWatch: what training jobs measured, and what endpoints were asked.

Rule: periods begin where AWS begins them (the start of the range, at whole minutes for periods of minutes), a
period without measurements has no data point, and a token names the place of a data point, so that a reader
sees each one once while others are added.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from types import MappingProxyType
from typing import Any

from sagestead.control.context import Context, Operation
from sagestead.control.operations.places import marked, unmarked
from sagestead.domain.errors import Invalid, NotImplementedHere
from sagestead.domain.measurements import NO_UNIT, Series, Statistic, by_period, percentile
from sagestead.domain.metrics import ENDPOINT_NAMESPACE, ENDPOINT_UNITS
from sagestead.domain.resources import Json

MOST_STATISTICS = 1440
MOST_POINTS = 100_800
MOST_QUERIES = 500
MOST_LISTED = 500
MINUTE = 60
SHORT_PERIODS = (1, 5, 10, 20, 30)
THREE_HOURS, TWO_WEEKS = 3 * 3600, 14 * 86400

_STATISTICS: Mapping[str, Callable[[Statistic], float]] = MappingProxyType(
    {
        "SampleCount": lambda one: one.samples,
        "Sum": lambda one: one.total,
        "Average": lambda one: one.total / one.samples,
        "Minimum": lambda one: one.least,
        "Maximum": lambda one: one.most,
    }
)
_PERCENTILE = re.compile(r"p(?P<percent>[0-9]{1,2}(\.[0-9]{1,10})?|100(\.0{1,10})?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time and its periods, in milliseconds since the epoch."""

    start: int
    end: int
    period: int


def get_metric_statistics(ctx: Context, request: Json) -> Json:
    """Return statistics of one metric, one data point a period."""
    wanted, percentiles = request.get("Statistics", []), request.get("ExtendedStatistics", [])
    if not wanted and not percentiles:
        sentence = "At least one of the parameters Statistics and ExtendedStatistics must be specified."
        raise _wrong(sentence, "InvalidParameterCombination")
    for word in percentiles:
        _check_statistic(word, "ExtendedStatistics")
    span = _span(request, request["Period"], "InvalidParameterValue")
    asked = -(-(span.end - span.start) // span.period)
    if asked > MOST_STATISTICS:
        raise _wrong(
            f"You have requested up to {asked:,} datapoints, which exceeds the limit of {MOST_STATISTICS:,}. "
            "You may reduce the datapoints requested by increasing Period, or decreasing the time range.",
            "InvalidParameterCombination",
        )
    points = [
        {
            "Timestamp": begins / 1000,
            "Unit": _unit(request),
            **{word: _value(word, statistics) for word in wanted},
            "ExtendedStatistics": {word: _value(word, statistics) for word in percentiles} or None,
        }
        for begins, statistics in _measured(ctx, request, span, request.get("Unit")).items()
    ]
    return {"Label": request["MetricName"], "Datapoints": points}


def get_metric_data(ctx: Context, request: Json) -> Json:
    """Return statistics of several metrics, a page of them at a time."""
    queries = request["MetricDataQueries"]
    _check_queries(ctx, request, queries)
    room = min(request.get("MaxDatapoints", MOST_POINTS), MOST_POINTS)
    if room < 1:
        raise _wrong(f"MaxDatapoints {room} must be at least 1.", "ValidationError")
    first, after = _place_in(request, (int, int)) or (0, None)
    is_ascending = request.get("ScanBy") == "TimestampAscending"
    results: list[Json] = []
    token = None
    for number, query in enumerate(queries):
        if number < first or not query.get("ReturnData", True):
            continue
        found = list(_data(ctx, request, query["MetricStat"], is_ascending=is_ascending))
        if number == first and after is not None:
            found = [one for one in found if (one[0] > after if is_ascending else one[0] < after)]
        shown = found[:room]
        room -= len(shown)
        results.append(_result(query, shown, is_whole=len(shown) == len(found)))
        if len(shown) < len(found):
            token = marked((number, shown[-1][0]) if shown else (number, -1 if is_ascending else 2**62))
            break
    return {"MetricDataResults": results, "NextToken": token, "Messages": []}


def list_metrics(ctx: Context, request: Json) -> Json:
    """List the metrics that have data of the last two weeks, by namespace, dimensions and name."""
    _refuse_other_accounts(ctx, request.get("OwningAccount"), "OwningAccount")
    if request.get("IncludeLinkedAccounts"):
        raise _unsupported(
            "IncludeLinkedAccounts is not carried out here: no account is linked; leave it out."
        )
    seconds = THREE_HOURS if request.get("RecentlyActive") else TWO_WEEKS
    since = round((ctx.now - seconds) * 1000)
    namespace, name = request.get("Namespace"), request.get("MetricName")
    filters = request.get("Dimensions", [])
    found = [
        one
        for one in ctx.metrics.series(ctx.account, ctx.region, namespace, name, since)
        if all(_has(one, wanted) for wanted in filters)
    ]
    after = _place_in(request, (str, str, str))
    later = [one for one in found if after is None or _place(one) > after]
    shown = later[:MOST_LISTED]
    token = marked(_place(shown[-1])) if len(shown) < len(later) else None
    return {"Metrics": [_metric(one) for one in shown], "NextToken": token}


def _check_queries(ctx: Context, request: Json, queries: list[Json]) -> None:
    if not queries or len(queries) > MOST_QUERIES:
        raise _wrong(
            f"MetricDataQueries has {len(queries)} queries; send 1 to {MOST_QUERIES}.", "ValidationError"
        )
    if request.get("LabelOptions"):
        raise _unsupported("LabelOptions is not carried out here: labels have no times; leave it out.")
    if len({query["Id"] for query in queries}) < len(queries):
        raise _wrong("The values for parameter id in MetricDataQueries are not unique.", "ValidationError")
    for query in queries:
        _check_query(ctx, query)
        _span(request, query["MetricStat"]["Period"], "ValidationError")


def _check_query(ctx: Context, query: Json) -> None:
    named = f"MetricDataQueries '{query['Id'][:100]}'"
    if not re.fullmatch(r"[a-z][a-zA-Z0-9_]*", query["Id"]):
        raise _wrong(f"{named}: an Id begins with a lower-case letter.", "ValidationError")
    if "Expression" in query:
        raise _unsupported(f"Expression of {named} is not carried out here; ask for a MetricStat.")
    _refuse_other_accounts(ctx, query.get("AccountId"), f"AccountId of {named}")
    if "MetricStat" not in query:
        raise _wrong(f"{named} has no MetricStat; send one.", "ValidationError")
    if "Period" in query:
        raise _wrong(f"Period of {named} belongs to an Expression; give it in MetricStat.", "ValidationError")
    if "${" in query.get("Label", ""):
        raise _unsupported(f"Dynamic text in the Label of {named} is not carried out here; send plain text.")
    _check_statistic(query["MetricStat"]["Stat"], f"Stat of {named}")
    metric = query["MetricStat"]["Metric"]
    if not metric.get("Namespace") or not metric.get("MetricName"):
        raise _wrong(f"Metric of {named} needs a Namespace and a MetricName.", "ValidationError")


def _data(ctx: Context, request: Json, asked: Json, *, is_ascending: bool) -> Iterator[tuple[int, float]]:
    """Yield (start of a period, value) of one query, in the order that was asked for."""
    span = _span(request, asked["Period"], "ValidationError")
    found = _measured(ctx, asked["Metric"], span, asked.get("Unit"))
    for begins in sorted(found, reverse=not is_ascending):
        yield begins, _value(asked["Stat"], found[begins])


def _result(query: Json, shown: list[tuple[int, float]], *, is_whole: bool) -> Json:
    return {
        "Id": query["Id"],
        "Label": query.get("Label") or query["MetricStat"]["Metric"]["MetricName"],
        "Timestamps": [begins / 1000 for begins, _ in shown],
        "Values": [value for _, value in shown],
        "StatusCode": "Complete" if is_whole else "PartialData",
    }


def _span(request: Json, period: int, code: str) -> Span:
    """Return the range of a request. AWS rounds its start down to the minute, or to a shorter period."""
    if period not in SHORT_PERIODS and period % MINUTE:
        raise _wrong(
            f"Period {period} must be {', '.join(map(str, SHORT_PERIODS))}, or a multiple of {MINUTE}.", code
        )
    start, end = round(request["StartTime"] * 1000), round(request["EndTime"] * 1000)
    if start >= end:
        raise _wrong("The parameter StartTime must be less than the parameter EndTime.", code)
    step = min(period, MINUTE) * 1000
    return Span(start // step * step, end, period * 1000)


def _measured(ctx: Context, metric: Json, span: Span, unit: str | None) -> dict[int, list[Statistic]]:
    """Return what was measured in each period that has anything."""
    own = _unit(metric)
    if unit not in (None, own):
        return {}
    dimensions = sorted((one["Name"], one["Value"]) for one in metric.get("Dimensions", []))
    series = Series(ctx.account, ctx.region, metric["Namespace"], metric["MetricName"], tuple(dimensions))
    return by_period(ctx.metrics.points(series, span.start, span.end), span.start, span.period)


def _unit(metric: Json) -> str:
    """Return the unit of a metric; of endpoints only those are known that are counted here."""
    if metric["Namespace"] != ENDPOINT_NAMESPACE:
        return NO_UNIT
    unit = ENDPOINT_UNITS.get(metric["MetricName"])
    if unit is None:
        raise _unsupported(
            f"{metric['MetricName'][:100]} of {ENDPOINT_NAMESPACE} is not counted here; "
            f"ask for {', '.join(ENDPOINT_UNITS)}."
        )
    return unit


def _check_statistic(word: str, where: str) -> None:
    if word in _STATISTICS or _PERCENTILE.fullmatch(word):
        return
    raise _unsupported(
        f"'{word[:100]}' in {where} is not carried out here; send {', '.join(_STATISTICS)} "
        "or a percentile, for example p90."
    )


def _value(word: str, statistics: list[Statistic]) -> float:
    if word in _STATISTICS:
        return _STATISTICS[word](reduce(add, statistics))
    found = percentile(statistics, float(word[1:]))
    if found is None:
        raise _unsupported(
            f"{word} cannot be told of so many measurements, of which only number, sum, least and greatest "
            "are kept; ask for p0, p100 or a statistic."
        )
    return found


def _has(series: Series, wanted: Json) -> bool:
    return any(
        name == wanted["Name"] and wanted.get("Value", value) == value for name, value in series.dimensions
    )


def _metric(series: Series) -> Json:
    dimensions = [{"Name": name, "Value": value} for name, value in series.dimensions]
    return {"Namespace": series.namespace, "MetricName": series.name, "Dimensions": dimensions}


def _place(series: Series) -> tuple[str, str, str]:
    """Return where a series comes in the order of the list."""
    return series.namespace, json.dumps(series.dimensions), series.name


def _place_in(request: Json, kinds: tuple[type, ...]) -> tuple[Any, ...] | None:
    """Return the place in `NextToken`, whose parts have these types; None without a token."""
    token = request.get("NextToken")
    if token is None:
        return None
    place = unmarked(token, kinds)
    if place is None:
        raise _wrong("NextToken is not one of the last answer's; send that.", "InvalidNextToken")
    return tuple(place)


def _refuse_other_accounts(ctx: Context, account: str | None, where: str) -> None:
    if account not in (None, ctx.account):
        raise _unsupported(f"{where} names the account {account}; only the caller's own can be read here.")


def _wrong(sentence: str, code: str) -> Invalid:
    return Invalid(sentence, code=code)


def _unsupported(sentence: str) -> NotImplementedHere:
    return NotImplementedHere(sentence, code="InvalidParameterValue")


OPERATIONS: dict[str, Operation] = {
    "GetMetricData": get_metric_data,
    "GetMetricStatistics": get_metric_statistics,
    "ListMetrics": list_metrics,
}
