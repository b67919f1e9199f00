"""Measurements as the monitor sends them, and the gauges that Prometheus reads of each model's newest one.

The monitor owns the document. Here only what a gauge needs is looked at, and a part that is not there
gives no gauge: nothing is made up.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from refit.api.measured import QualityVerdict, Verdict
from refit_collector import times
from refit_collector.readers import Readers
from refit_collector.refusals import bad, unfit
from refit_collector.schema import REMOVED
from refit_collector.snapshots import snapshot

LARGEST = 2 * 1024 * 1024
KEPT = 500
"""Measurements of one model that are kept, the newest."""
SHOWN_HOURS = 24 * 14
"""A model that nobody has measured for so long is gone; until then its staleness is an alert."""
SEGMENT_LENGTH = 128
VERDICTS = tuple(Verdict)
_MODEL = ("namespace", "model", "version")


class Measured(NamedTuple):
    """One measurement: when, and the document."""

    time: int
    document: dict[str, Any]


def read(body: bytes, namespace: str, model: str, key: str) -> Measured:
    """The measurement in a body; raises Refused if it is none of that model under that key."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad("", f"is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise unfit("", "must be an object")
    for name, wanted in (("key", key), ("namespace", namespace), ("model", model)):
        if document.get(name) != wanted:
            raise unfit(name, f"must be {wanted!r}, as in the path")
    version = document.get("version")
    if version is not None and (type(version) is not int or version < 1):
        raise unfit("version", "must be a whole number of at least 1, or null")
    if document.get("verdict") not in VERDICTS:
        raise unfit("verdict", f"must be one of {', '.join(VERDICTS)}")
    try:
        moment = times.micros(str(document.get("time")))
    except ValueError as error:
        raise unfit("time", str(error)) from None
    return Measured(moment, document)


def newest(directory: Path, readers: Readers, namespace: str, model: str, limit: int) -> list[bytes]:
    """The kept measurements of a model as they were sent, the newest first."""
    statement = (
        "SELECT x.body FROM measurements x JOIN models m USING (model) JOIN namespaces n USING (namespace)"
        " WHERE n.name = ? AND m.name = ? ORDER BY x.time DESC, x.key DESC LIMIT ?"
    )
    with snapshot(directory, readers) as connection:
        return [row[0] for row in connection.execute(statement, (namespace, model, limit))]


class Gauges(Collector):
    """The newest measurement of each model, as gauges."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._newest: dict[tuple[str, str], Measured] = {}

    def load(self, connection: sqlite3.Connection) -> None:
        """What was told before the last restart."""
        statement = (
            "SELECT n.name, m.name, x.time, x.body FROM models m JOIN namespaces n USING (namespace)"
            " JOIN measurements x ON x.model = m.model"
            " WHERE x.key = (SELECT key FROM measurements y WHERE y.model = m.model ORDER BY time DESC, key DESC LIMIT 1)"
            " AND substr(m.name, 1, 1) != ?"
        )
        for namespace, model, time, body in connection.execute(statement, (REMOVED,)):
            self.tell(namespace, model, Measured(time, orjson.loads(body)))

    def tell(self, namespace: str, model: str, measured: Measured) -> None:
        known = self._newest.get((namespace, model))
        if known is None or measured.time >= known.time:
            self._newest[namespace, model] = measured

    def forget(self, namespace: str, model: str) -> None:
        self._newest.pop((namespace, model), None)

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        families: dict[str, GaugeMetricFamily] = {}
        oldest = self._now() - SHOWN_HOURS * times.HOUR
        for (namespace, model), measured in list(self._newest.items()):
            if measured.time < oldest:
                continue
            version = measured.document.get("version")
            place = {"namespace": namespace, "model": model, "version": "" if version is None else str(version)}
            seen: set[tuple[str, ...]] = set()
            for name, labels, value in _samples(measured):
                family = families.setdefault(
                    name, GaugeMetricFamily(f"refit_{name}", _TEXTS[name], labels=[*_MODEL, *labels])
                )
                values = [*place.values(), *labels.values()]
                if (name, *values) not in seen:  # a document that names a column twice must not spoil the page
                    seen.add((name, *values))
                    family.add_metric(values, value)
        yield from families.values()


Sample = tuple[str, dict[str, str], float]
_TEXTS = {
    "feature_drift_effect": "Bounded effect (0 to 1) of a column's drift.",
    "feature_drift_p_value": "P-value of a column's drift, corrected over all columns.",
    "feature_drifted": "Whether a column drifted.",
    "prediction_drift_effect": "Bounded effect (0 to 1) of the predictions' drift.",
    "prediction_drift_p_value": "P-value of the predictions' drift, corrected.",
    "prediction_drifted": "Whether the predictions drifted.",
    "segment_drift_effect": "Largest bounded effect (0 to 1) of a column's drift within a segment, and which column that is.",
    "segment_drifted": "Whether any column drifted within a segment.",
    "model_quality": "A metric of the model, measured on labels or estimated.",
    "model_quality_low": "Whether a metric misses its bound.",
    "data_quality_score": "Quality of the requests' data, 0 to 100.",
    "data_valid": "Whether the requests are what the model was made for.",
    "label_coverage": "Share of the rows that have a label.",
    "label_delay_seconds": "Time from answer to label.",
    "window_rows": "Rows of the window.",
    "request_coverage": "Share of the answered requests that were collected.",
    "measurement_timestamp_seconds": "When the newest measurement was made.",
    "measurement_interval_seconds": "How often it is measured.",
    "measurement_verdict": "1 for the verdict of the newest measurement, 0 for the others.",
    "query_value": "Value of a query of the user.",
    "query_breached": "Whether a query of the user is past its bounds.",
}


def _samples(measured: Measured) -> Iterator[Sample]:
    document = measured.document
    yield "measurement_timestamp_seconds", {}, measured.time / times.SECOND
    for verdict in VERDICTS:
        yield "measurement_verdict", {"verdict": str(verdict)}, float(document.get("verdict") == verdict)
    yield from _plain(document, {"intervalSeconds": "measurement_interval_seconds", "rows": "window_rows"})
    yield from _plain(document, {"coverage": "request_coverage"})
    for column in _objects(document.get("columns")):
        labels = {"column": str(column.get("column", ""))}
        method = {"method": str(column.get("method", ""))}
        names = {"effect": "feature_drift_effect", "pAdjusted": "feature_drift_p_value"}
        yield from _plain(column, names, labels | method)
        yield from _plain(column, {"drifted": "feature_drifted"}, labels)
    for segment in _objects(document.get("segments")):
        yield from _segment(segment)
    yield from _prediction(_objects(document.get("prediction")))
    quality = _object(document.get("dataQuality"))
    yield from _plain(quality, {"score": "data_quality_score", "valid": "data_valid"})
    yield from _quality(_object(document.get("quality")))
    for query in _objects(document.get("queries")):
        names = {"value": "query_value", "breached": "query_breached"}
        yield from _plain(query, names, {"name": str(query.get("name", ""))})


def _segment(segment: Mapping[str, Any]) -> Iterator[Sample]:
    """Two series for each of the few segments that could be compared, however many columns there are."""
    drift = _object(segment.get("drift"))
    if drift.get("verdict") not in {Verdict.DRIFT, Verdict.NO_DRIFT}:
        return
    labels = {"segment": f"{segment.get('column', '')}={segment.get('value', '')}"[:SEGMENT_LENGTH]}
    yield "segment_drifted", labels, float(drift["verdict"] == Verdict.DRIFT)
    for largest in _objects(drift.get("columns"))[:1]:
        named = labels | {"column": str(largest.get("column", ""))}
        yield from _plain(largest, {"effect": "segment_drift_effect"}, named)


def _prediction(parts: list[Mapping[str, Any]]) -> Iterator[Sample]:
    """Of several parts (a probability per class) the one with the largest effect speaks for each method."""
    for part in sorted(parts, key=lambda part: -(_number(part.get("effect")) or 0.0)):
        names = {"effect": "prediction_drift_effect", "pAdjusted": "prediction_drift_p_value"}
        yield from _plain(part, names, {"method": str(part.get("method", ""))})
    if parts:
        yield "prediction_drifted", {}, float(any(part.get("drifted") is True for part in parts))


def _quality(quality: Mapping[str, Any]) -> Iterator[Sample]:
    for name, kind in (("metrics", "measured"), ("estimated", "estimated")):
        for metric, value in _object(quality.get(name)).items():
            if (number := _number(value)) is not None:
                yield "model_quality", {"metric": metric, "kind": kind}, number
    if quality.get("verdict") in {QualityVerdict.OK, QualityVerdict.LOW}:
        for bound in _objects(quality.get("bounds")):
            yield from _plain(bound, {"missed": "model_quality_low"}, {"metric": str(bound.get("metric", ""))})
    yield from _plain(quality, {"coverage": "label_coverage", "delaySeconds": "label_delay_seconds"})


def _plain(
    found: Mapping[str, Any], names: Mapping[str, str], labels: Mapping[str, str] | None = None
) -> Iterator[Sample]:
    for key, name in names.items():
        if (number := _number(found.get(key))) is not None:
            yield name, dict(labels or {}), number


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (bool, int, float)) and math.isfinite(value) else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
