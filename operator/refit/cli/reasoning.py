"""Reasoning read back: a diagnosis writes down the inputs of every rule that held, and here they become inputs again."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import ValidationError

from refit.api.measured import (
    DataQuality,
    FeatureDrift,
    LastMeasurement,
    ModelQuality,
    QualityVerdict,
    QueryResult,
    SegmentDrift,
    Verdict,
)
from refit.api.metrics import LOWER_IS_BETTER, Metric, Metrics
from refit.api.monitoring import Monitoring, QualityBound
from refit.core.observed import AlertSeen

CUT = " …"
_NUMBER = r"[^,;()\s]+"
_SHARE = r"\) = \d\.\d\d \* \d\.\d\d"
_FINDING = re.compile(
    rf"(?:feature-drift\((?P<column>.+?): effect=(?P<effect>{_NUMBER}), p=(?P<p>{_NUMBER}), rows=(?P<rows>\d+)"
    rf"|segment-drift\((?P<part>.+?) in (?P<segment>.+?): effect=(?P<part_effect>{_NUMBER}), p=(?P<part_p>{_NUMBER}), rows=(?P<part_rows>\d+)"
    rf"|prediction-drift\(effect=(?P<moved>{_NUMBER}), p=(?P<moved_p>{_NUMBER}), rows=(?P<moved_rows>\d+)"
    rf"|data-quality\(score=(?P<score>{_NUMBER}), rows=(?P<scored>\d+)"
    rf"|quality-bound\((?P<metric>\w+)=(?P<value>{_NUMBER}), bound=(?P<bound>{_NUMBER}), labelled=(?P<labelled>\d+)"
    rf"|query-bound\((?P<query>[-a-z0-9]+)=(?P<answer>{_NUMBER})"
    rf"|alert\((?P<alert>.+?), severity=(?P<severity>.*?)(?P<flapping>, flapping)?){_SHARE}(?:; |$)"
)


class UnreplayableError(ValueError):
    """The reasoning does not hold all inputs; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a diagnosis was made of, as far as it mattered."""

    monitoring: Monitoring
    last: LastMeasurement
    alerts: tuple[AlertSeen, ...]


def inputs_of(reasoning: str) -> Inputs:
    """The inputs that give this reasoning; raises UnreplayableError."""
    if reasoning.endswith(CUT):
        raise UnreplayableError(f"the reasoning was cut at {len(reasoning)} characters, and inputs with it")
    found = _findings(reasoning)
    try:
        return Inputs(
            monitoring=Monitoring(quality=tuple(_bound(one) for one in found if one["metric"])),
            last=_measurement(found),
            alerts=tuple(
                AlertSeen(
                    name=one["alert"],
                    fingerprint="",
                    starts_at="",
                    severity=one["severity"],
                    flapping=bool(one["flapping"]),
                )
                for one in found
                if one["alert"]
            ),
        )
    except (ValidationError, ValueError) as error:
        raise UnreplayableError(f"the reasoning is not as this version writes it: {error}") from error


def _findings(reasoning: str) -> list[dict[str, str]]:
    found, at = [], 0
    while at < len(reasoning):
        match = _FINDING.match(reasoning, at)
        if match is None:
            raise UnreplayableError(f"the reasoning is not as this version writes it: {reasoning[at : at + 40]!r}")
        found.append({name: value or "" for name, value in match.groupdict().items()})
        at = match.end()
    return found


def _measurement(found: list[dict[str, str]]) -> LastMeasurement:
    features = tuple(
        FeatureDrift(column=one["column"], method="", effect=one["effect"], p_value=one["p"])
        for one in found
        if one["column"]
    )
    segments = tuple(
        SegmentDrift(
            segment=one["segment"],
            rows=int(one["part_rows"]),
            column=one["part"],
            method="",
            effect=one["part_effect"],
            p_value=one["part_p"],
        )
        for one in found
        if one["part"]
    )
    moved = next((one for one in found if one["moved"]), None)
    score = next((one for one in found if one["score"]), None)
    missed = [one for one in found if one["metric"]]
    rows = next((one["rows"] or one["moved_rows"] or one["scored"] for one in found if _has_rows(one)), "0")
    return LastMeasurement(
        time="1970-01-01T00:00:00Z",
        verdict=Verdict.DRIFT if features or segments or moved else Verdict.NO_DRIFT,
        rows=int(rows),
        features=features,
        segments=segments,
        prediction=moved and FeatureDrift(column="", method="", effect=moved["moved"], p_value=moved["moved_p"]),
        data_quality=score and DataQuality(valid=False, score=score["score"]),
        quality=ModelQuality(
            verdict=QualityVerdict.LOW,
            labelled=int(missed[0]["labelled"]),
            metrics=Metrics.model_validate({one["metric"]: one["value"] for one in missed}),
            missed=tuple(Metric(one["metric"]) for one in missed),
        )
        if missed
        else None,
        queries=tuple(
            QueryResult(name=one["query"], value=None if one["answer"] == "None" else one["answer"], breached=True)
            for one in found
            if one["query"]
        ),
    )


def _has_rows(one: dict[str, str]) -> bool:
    return bool(one["rows"] or one["moved_rows"] or one["scored"])


def _bound(one: dict[str, str]) -> QualityBound:
    metric = Metric(one["metric"])
    side = {"maximum": one["bound"]} if metric in LOWER_IS_BETTER else {"minimum": one["bound"]}
    return QualityBound.model_validate({"metric": metric, **side})
