"""The incident report: what was wrong, who decided what, what was done, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from refit.api.conditions import ConditionStatus, find
from refit.api.orders import ReportedRequest, ReportOrder
from refit.api.outcome import RealisedImpact
from refit.api.reasons import ConditionType
from refit.api.remediationrequest import Action, Decision, RequestPhase
from refit.api.summaries import counted, decisions
from refit.api.times import moment
from refit.report.charts import Chart, band
from refit.report.drift import columns_table, effects_chart, omitted
from refit.report.measured import Measured
from refit.report.parts import (
    CODE,
    TEXT,
    Fact,
    Table,
    Tile,
    approvals_table,
    changes_table,
    comparison_chart,
    comparison_table,
    decided,
    impact_chart,
    order_facts,
    request_facts,
)
from refit.report.wording import cut, digest, lasted, listed, metric, sentence, signed, when

CHANGES, ALERTS, COLUMNS = 12, 8, 8
DATED = (RequestPhase.EXECUTED, RequestPhase.EXPIRED)
"""Of these the status tells when it ended; of the others, only by when that was noticed."""
DEEDS: dict[Action, str] = {
    Action.LOG: "A log entry",
    Action.NOTIFY: "A notification",
    Action.SCALE: "Scaling",
    Action.RESTART: "A restart",
    Action.RETRAIN: "Retraining",
    Action.PROMOTE: "A promotion",
    Action.ROLLBACK: "A rollback",
    Action.CHANGE_CONFIG: "A change of configuration",
}
TITLES: dict[RequestPhase, str] = {
    RequestPhase.EXECUTED: "{action} was carried out",
    RequestPhase.REJECTED: "{action} was rejected",
    RequestPhase.EXPIRED: "{action} expired without a decision",
    RequestPhase.SUPERSEDED: "{action} was overtaken by events",
    RequestPhase.FAILED: "{action} did not succeed",
}
TONES = {RequestPhase.EXECUTED: "good", RequestPhase.FAILED: "bad"}


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One thing that happened. `tone` is good, bad, wait or empty."""

    time: str
    title: str
    detail: str = ""
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """What the template draws."""

    title: str
    lead: str
    tiles: tuple[Tile, ...]
    diagnosis: tuple[Fact, ...]
    drift: Chart | None
    columns: Table | None
    columns_told: str
    timeline: tuple[Moment, ...]
    changes: Table | None
    impact: Chart | None
    impact_told: str
    comparison: Table | None
    difference: Chart | None
    outcome: tuple[Fact, ...]
    approvals: Table | None
    alerts: Table | None
    evidence: tuple[Fact, ...]


def incident(order: ReportOrder, found: Measured | None) -> Incident:
    request = order.request
    if request is None:
        raise ValueError("an incident report needs a request")
    status = request.status
    phase = status.phase or RequestPhase.PENDING
    who = decided(request)
    severity = status.diagnosis.severity if status.diagnosis is not None else None
    compared = order.training.comparison if order.training is not None else None
    realised = status.outcome.realised_impact if status.outcome is not None else None
    predicted = status.proposal.predicted_impact if status.proposal is not None else None
    ready = find(status.conditions, ConditionType.READY)
    drifted = found if found is not None and found.columns else None
    columns = columns_table(drifted, COLUMNS) if drifted is not None else None
    return Incident(
        title=TITLES.get(phase, "{action} came to an end").format(action=DEEDS[request.spec.action]),
        lead=sentence(ready.message if ready is not None and ready.message else str(phase)),
        tiles=(
            Tile(label="How it ended", value=_ended(request), tone=TONES.get(phase, "wait")),
            Tile(
                label="Severity",
                value=f"{float(severity):.2f}" if severity is not None else "—",
                hint=f"{band(float(severity))} band" if severity is not None else "asked for by a person",
            ),
            Tile(label="Decision", value=who.word, hint=who.by),
            Tile(label="From request to end", value=lasted(request.created, order.time)),
        ),
        diagnosis=diagnosis_facts(request),
        drift=effects_chart(drifted) if drifted is not None else None,
        columns=columns,
        columns_told=omitted(drifted) if drifted is not None else "",
        timeline=timeline(order, request),
        changes=changes_table(request, CHANGES),
        impact=impact_chart(predicted, realised.after if realised else None, realised.rows if realised else 0)
        if predicted is not None
        else None,
        impact_told=_impact_told(request, realised),
        comparison=comparison_table(compared) if compared is not None else None,
        difference=comparison_chart(compared) if compared is not None else None,
        outcome=_outcome(request),
        approvals=approvals_table(request),
        alerts=alerts_table(request),
        evidence=(*request_facts(request), *order_facts(order)),
    )


def diagnosis_facts(request: ReportedRequest) -> tuple[Fact, ...]:
    """What was thought to be wrong, and by which rules."""
    spec, diagnosis = request.spec, request.status.diagnosis
    asked = f"{spec.trigger.type}, by {spec.requested_by}"
    found = [Fact(term="Asked for", value=asked)]
    if spec.note:
        found.append(Fact(term="Note", value=spec.note))
    if diagnosis is not None:
        found += [
            Fact(term="Finding", value=str(diagnosis.class_)),
            Fact(term="Severity", value=f"{float(diagnosis.severity):.2f}, {band(float(diagnosis.severity))} band"),
            Fact(term="Rules that held", value=", ".join(diagnosis.rules) or "—", code=True),
            Fact(term="Reasoning", value=diagnosis.reasoning or "—"),
        ]
    if spec.trigger.features:
        found.append(Fact(term="Inputs named", value=listed(list(spec.trigger.features), 8)))
    return tuple(found)


def alerts_table(request: ReportedRequest) -> Table | None:
    """The alerts that it answers to, and those that came while it was open."""
    alerts = {alert.fingerprint: alert for alert in (*request.spec.trigger.alerts, *request.status.alerts)}
    if not alerts:
        return None
    return Table(
        caption="Alerts",
        columns=("Alert", "Began", "Fingerprint"),
        kinds=(TEXT, TEXT, CODE),
        widths=(50, 25, 25),
        rows=tuple((alert.name, when(alert.starts_at), alert.fingerprint) for alert in alerts.values()),
    ).first(ALERTS, "alerts")


def timeline(order: ReportOrder, request: ReportedRequest) -> tuple[Moment, ...]:
    """All that has a time, in its order."""
    status, spec = request.status, request.spec
    found: list[tuple[str, Moment]] = []

    def add(time: str | None, title: str, detail: str = "", tone: str = "") -> None:
        if time:
            found.append((time, Moment(time=when(time), title=title, detail=detail, tone=tone)))

    for alert in spec.trigger.alerts[:ALERTS]:
        add(alert.starts_at, f"Alert {alert.name} began", tone="bad")
    add(request.created, f"{spec.action} asked for by {spec.requested_by}", spec.note)
    if status.estimate is not None:
        impact = status.proposal.predicted_impact if status.proposal is not None else None
        told = f"predicted by {impact.method}" if impact is not None else status.estimate.message
        add(status.estimate.start_time, "What it would bring was measured", told)
    yes = 0
    for user, entry, seen in decisions(status):
        agreed = entry.decision == Decision.APPROVED
        yes += agreed
        count = f"{yes} of {_needed(request)} needed" if agreed else ""
        told = ": ".join(part for part in (count, entry.reason) if part)
        add(seen, f"{entry.decision} by {user}", told, "good" if agreed else "bad")
    execution, training = status.execution, order.training
    if execution is not None:
        begun = f"from version {execution.from_version}, " if execution.from_version else ""
        add(execution.start_time, "Carried out", f"{begun}as approved under digest {digest(execution.digest)}")
        add(execution.done_time, "Done and read back; watched from here on")
    if training is not None:
        add(training.completion_time, f"Training ended: {training.phase}", training.message)
    found.sort(key=lambda pair: moment(pair[0]))
    ready = find(status.conditions, ConditionType.READY)
    phase = status.phase or RequestPhase.PENDING
    before = "" if phase in DATED else "by "
    end = Moment(
        time=f"{before}{when(order.time)}",
        title=f"Ended: {phase}",
        detail=ready.message if ready is not None else "",
        tone=TONES.get(phase, "wait"),
    )
    return (*(each for _, each in found), end)


def _needed(request: ReportedRequest) -> int:
    rule = request.status.proposal.approval if request.status.proposal is not None else None
    return rule.approvals if rule is not None else 1


def _ended(request: ReportedRequest) -> str:
    """The phase, and where it says more than that, the result."""
    outcome, phase = request.status.outcome, request.status.phase
    words = {"RolledBack": "Rolled back", "ChampionKept": "Champion kept", "ConfigChanged": "Config changed"}
    if outcome is None or phase != RequestPhase.EXECUTED:
        return str(phase)
    return words.get(str(outcome.result), str(outcome.result))


def _impact_told(request: ReportedRequest, realised: RealisedImpact | None) -> str:
    predicted = request.status.proposal.predicted_impact if request.status.proposal is not None else None
    if predicted is None:
        estimate = request.status.estimate
        why = f": {estimate.message}" if estimate is not None and estimate.message else ""
        return f"No impact was predicted{why}."
    name = metric(predicted.metric)
    if realised is None:
        return f"{name} was predicted by {predicted.method}. What it came to was not measured: too few labels or requests, or not done."
    change = signed(float(realised.after) - float(realised.before))
    inside = {True: "inside", False: "outside", None: "not compared with"}[realised.inside]
    return (
        f"{name} changed by {change} on {counted(realised.metric, realised.rows)}. That is {inside} the predicted interval. "
        f"Predicted by {predicted.method}."
    )


def _outcome(request: ReportedRequest) -> tuple[Fact, ...]:
    outcome = request.status.outcome
    escalated = find(request.status.conditions, ConditionType.ESCALATED)
    found = []
    if outcome is not None:
        found.append(Fact(term="Result", value=_ended(request)))
        found += [Fact(term="Before", value=outcome.before)] if outcome.before else []
        found += [Fact(term="After", value=outcome.after)] if outcome.after else []
    if escalated is not None and escalated.status == ConditionStatus.TRUE:
        found.append(Fact(term="Escalated", value=cut(escalated.message, 256)))
    return tuple(found)
