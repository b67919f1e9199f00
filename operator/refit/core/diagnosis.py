"""Diagnosis: what is thought to be wrong with a served model, how badly, and by which rules.

Every rule that holds gives a contribution from 0 to 1 and the weight of its evidence, from 0 to 1. The
severity is what is left of certainty that nothing is wrong when each rule takes its share away:

    severity = 1 - product over all rules of (1 - weight * contribution)

so that several faults weigh more than one, no order matters, and 35 rows do not weigh like 1,000.
The inputs of every rule stand in the reasoning; the same inputs give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from refit.api.measured import LastMeasurement, QualityVerdict, Verdict
from refit.api.metrics import LOWER_IS_BETTER, Metric
from refit.api.monitoring import Monitoring, QualityBound
from refit.api.remediationrequest import Diagnosis, DiagnosisClass
from refit.core.observed import AlertSeen

HALF_WEIGHT_ROWS = 30
"""Rows at which the evidence of a measurement weighs one half: weight = rows / (rows + 30)."""
LEAST_OF_A_BREACH = 0.6
"""A broken bound is of the medium band even on 200 rows: somebody wrote it down as what must hold."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that holds: its id, its inputs in words, and what it adds."""

    rule: str
    class_: DiagnosisClass
    inputs: str
    contribution: float
    weight: float = 1.0


REASONING_LIMIT = 1024

ALERT_CLASSES = {
    "ExternalDrift": DiagnosisClass.DRIFT,
    "ExternalPerformance": DiagnosisClass.PERFORMANCE,
    "RefitLatencyHigh": DiagnosisClass.SYSTEM_ERROR,
    "RefitErrorRateHigh": DiagnosisClass.SYSTEM_ERROR,
    "RefitNoTraffic": DiagnosisClass.SYSTEM_ERROR,
    "RefitResourceHigh": DiagnosisClass.SYSTEM_ERROR,
}
"""What Refit's own alerts are about, and what signed events report; anything else is Unknown until a person has looked."""

ECHOES = ("RefitDataDrift", "RefitPredictionDrift", "RefitModelMetricLow", "RefitQueryBreached", "RefitDataQuality")
"""Alerts that only repeat what a measurement said. It is the witness; to hear it twice makes nothing more certain."""

ALERT_CONTRIBUTIONS = {"critical": 0.75, "warning": 0.55, "info": 0.2}
OTHER_CONTRIBUTION = 0.4
"""Of an alert whose severity is none of these words."""

PRECEDENCE = (
    DiagnosisClass.DATA_QUALITY,
    DiagnosisClass.SYSTEM_ERROR,
    DiagnosisClass.PERFORMANCE,
    DiagnosisClass.DRIFT,
    DiagnosisClass.UNKNOWN,
)
"""Which class names the diagnosis when rules of several hold: what would make the others' evidence worthless comes first."""


def diagnose(
    monitoring: Monitoring | None, last: LastMeasurement | None, alerts: tuple[AlertSeen, ...]
) -> Diagnosis | None:
    """The diagnosis, or None if no rule holds."""
    witnesses = (alert for alert in alerts if not alert.clock_suspect and alert.name not in ECHOES)
    found = (*_measured(monitoring, last), *map(_alert, witnesses))
    if not found:
        return None
    severity = 1 - prod(1 - finding.weight * finding.contribution for finding in found)
    class_ = min((finding.class_ for finding in found), key=PRECEDENCE.index)
    reasoning = "; ".join(f"{finding.rule}({finding.inputs}) {_share(finding)}" for finding in found)
    return Diagnosis(
        class_=class_,
        severity=f"{severity:.2f}",
        rules=tuple(dict.fromkeys(finding.rule for finding in found))[:32],
        reasoning=reasoning if len(reasoning) <= REASONING_LIMIT else reasoning[: REASONING_LIMIT - 2] + " …",
    )


def _share(finding: Finding) -> str:
    return f"= {finding.weight:.2f} * {finding.contribution:.2f}"


def _measured(monitoring: Monitoring | None, last: LastMeasurement | None) -> tuple[Finding, ...]:
    if last is None or last.verdict == Verdict.ERROR:
        return ()
    weight = _weight(last.rows)
    found: list[Finding] = []
    if last.data_quality is not None and not last.data_quality.valid:
        found.append(
            Finding(
                rule="data-quality",
                class_=DiagnosisClass.DATA_QUALITY,
                inputs=f"score={last.data_quality.score}, rows={last.rows}",
                contribution=max(LEAST_OF_A_BREACH, 1 - float(last.data_quality.score) / 100),
                weight=weight,
            )
        )
    if last.verdict == Verdict.DRIFT:
        rows = f"rows={last.rows}"
        found.extend(
            Finding(
                rule="feature-drift",
                class_=DiagnosisClass.DRIFT,
                inputs=f"{feature.column}: effect={feature.effect}, p={feature.p_value}, {rows}",
                contribution=min(1.0, float(feature.effect)),
                weight=weight,
            )
            for feature in last.features
        )
        found.extend(
            Finding(
                rule="segment-drift",
                class_=DiagnosisClass.DRIFT,
                inputs=f"{part.column} in {part.segment}: effect={part.effect}, p={part.p_value}, rows={part.rows}",
                contribution=min(1.0, float(part.effect)),
                weight=_weight(part.rows),
            )
            for part in last.segments
        )
        if last.prediction is not None:
            found.append(
                Finding(
                    rule="prediction-drift",
                    class_=DiagnosisClass.DRIFT,
                    inputs=f"effect={last.prediction.effect}, p={last.prediction.p_value}, {rows}",
                    contribution=min(1.0, float(last.prediction.effect)),
                    weight=weight,
                )
            )
    found.extend(_quality(monitoring, last))
    found.extend(
        Finding(
            rule="query-bound",
            class_=DiagnosisClass.PERFORMANCE,
            inputs=f"{query.name}={query.value}",
            contribution=LEAST_OF_A_BREACH,
        )
        for query in last.queries
        if query.breached
    )
    return tuple(found)


def _quality(monitoring: Monitoring | None, last: LastMeasurement) -> list[Finding]:
    quality = last.quality
    if quality is None or quality.verdict != QualityVerdict.LOW or monitoring is None:
        return []
    values = quality.metrics.wire()
    bounds = {bound.metric: bound for bound in monitoring.quality}
    return [
        Finding(
            rule="quality-bound",
            class_=DiagnosisClass.PERFORMANCE,
            inputs=f"{metric}={value}, bound={bounds[metric].minimum or bounds[metric].maximum}, "
            f"labelled={quality.labelled}",
            contribution=_miss(metric, float(value), bounds[metric]),
            weight=_weight(quality.labelled),
        )
        for metric, value in ((metric, values.get(metric)) for metric in quality.missed)
        if value is not None and metric in bounds
    ]


def _miss(metric: Metric, value: float, bound: QualityBound) -> float:
    """A missed bound is LEAST_OF_A_BREACH; missed by a fifth of its size or more, it is all there is."""
    wanted = float((bound.maximum if metric in LOWER_IS_BETTER else bound.minimum) or 0)
    gap = (value - wanted) if metric in LOWER_IS_BETTER else (wanted - value)
    share = max(0.0, gap) / max(abs(wanted), 1e-9)
    return min(1.0, LEAST_OF_A_BREACH + 2 * share)


def _alert(alert: AlertSeen) -> Finding:
    return Finding(
        rule="alert",
        class_=ALERT_CLASSES.get(alert.name, DiagnosisClass.UNKNOWN),
        inputs=f"{alert.name}, severity={alert.severity or 'none'}{', flapping' if alert.flapping else ''}",
        contribution=ALERT_CONTRIBUTIONS.get(alert.severity, OTHER_CONTRIBUTION),
    )


def _weight(rows: int) -> float:
    return rows / (rows + HALF_WEIGHT_ROWS)
