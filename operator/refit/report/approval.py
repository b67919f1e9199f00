"""The approval summary: what is asked, why, what it is expected to bring, and how to say yes or no."""

from __future__ import annotations

from dataclasses import dataclass

from refit.api.orders import ReportedRequest, ReportOrder
from refit.api.proposal import Proposal
from refit.api.remediationrequest import Action
from refit.report.charts import Chart, Mark, band, intervals
from refit.report.drift import effects_chart, omitted
from refit.report.incident import alerts_table, diagnosis_facts
from refit.report.measured import Measured
from refit.report.parts import (
    Fact,
    Table,
    Tile,
    approvals_table,
    changes_table,
    impact_chart,
    order_facts,
    request_facts,
)
from refit.report.wording import lasted, metric, number, sentence, signed, when

CHANGES, RANKED = 12, 10
QUESTIONS: dict[Action, str] = {
    Action.SCALE: "Run {model} on {replicas} replicas?",
    Action.RESTART: "Restart {model}?",
    Action.RETRAIN: "Retrain {model}?",
    Action.PROMOTE: "Put version {version} of {model} into service?",
    Action.ROLLBACK: "Return {model} to version {version}?",
    Action.CHANGE_CONFIG: "Change the configuration of {model}?",
}


@dataclass(frozen=True, kw_only=True)
class Approval:
    """What the template draws."""

    title: str
    lead: str
    tiles: tuple[Tile, ...]
    changes: Table | None
    impact: Chart | None
    impact_told: str
    ranking: Chart | None
    reasons: tuple[Fact, ...]
    drift: Chart | None
    columns_told: str
    alerts: Table | None
    rule: tuple[Fact, ...]
    decisions: Table | None
    commands: tuple[Fact, ...]
    evidence: tuple[Fact, ...]


def approval(order: ReportOrder, found: Measured | None) -> Approval:
    request = order.request
    if request is None or request.status.proposal is None:
        raise ValueError("an approval summary needs a request with a proposal")
    proposal, spec = request.status.proposal, request.spec
    predicted = proposal.predicted_impact
    severity = request.status.diagnosis.severity if request.status.diagnosis is not None else None
    expires = proposal.expires_at or spec.expires_at
    drifted = found if found is not None and found.columns else None
    question = QUESTIONS.get(spec.action, "{action}: {model}?")
    expected = number(predicted.predicted) if predicted is not None else "not predicted"
    return Approval(
        title=question.format(
            model=order.model,
            version=spec.parameters.to_version,
            replicas=spec.parameters.replicas,
            action=str(spec.action),
        ),
        lead=sentence(proposal.text),
        tiles=(
            Tile(label="Decide by", value=when(expires), hint=_left(order, expires), tone="wait"),
            Tile(
                label="Severity",
                value=f"{float(severity):.2f}" if severity is not None else "—",
                hint=f"{band(float(severity))} band" if severity is not None else "asked for by a person",
            ),
            Tile(
                label=f"{metric(predicted.metric)}, predicted" if predicted is not None else "Impact",
                value=expected,
                hint=f"now {number(predicted.now)}" if predicted is not None else "",
            ),
            Tile(label="Approvals needed", value=str(proposal.approval.approvals if proposal.approval else 1)),
        ),
        changes=changes_table(request, CHANGES),
        impact=impact_chart(predicted, None) if predicted is not None else None,
        impact_told=_impact_told(proposal, request),
        ranking=_ranking(proposal),
        reasons=diagnosis_facts(request),
        drift=effects_chart(drifted) if drifted is not None else None,
        columns_told=omitted(drifted) if drifted is not None else "",
        alerts=alerts_table(request),
        rule=_rule(proposal, request, expires),
        decisions=approvals_table(request),
        commands=_commands(order, request),
        evidence=(*request_facts(request), *order_facts(order)),
    )


def _left(order: ReportOrder, expires: str | None) -> str:
    return f"{lasted(order.time, expires)} after it was asked" if expires else ""


def _impact_told(proposal: Proposal, request: ReportedRequest) -> str:
    predicted = proposal.predicted_impact
    if predicted is None:
        estimate = request.status.estimate
        why = f": {estimate.message}" if estimate is not None and estimate.message else ""
        return f"No impact is predicted{why}. The decision has to be made without one."
    change = signed(float(predicted.predicted) - float(predicted.now))
    return (
        f"{metric(predicted.metric)} is expected to change by {change}, from {number(predicted.now)} to "
        f"{number(predicted.predicted)}; nine times in ten between {number(predicted.low)} and {number(predicted.high)}. "
        f"Found by {predicted.method}."
    )


def _ranking(proposal: Proposal) -> Chart | None:
    if not proposal.ranking:
        return None
    marks = [
        Mark(
            name=f"Version {each.version}",
            value=float(each.value),
            low=float(each.low),
            high=float(each.high),
            tone="predicted" if place == 0 else "other",
            note=f"{number(each.value)} on {each.rows:,} rows",
        )
        for place, each in enumerate(proposal.ranking[:RANKED])
    ]
    told = "; ".join(f"{mark.name} {mark.note}" for mark in marks)
    return intervals(marks, f"Versions as they would have answered the requests of the window, the best first: {told}.")


def _rule(proposal: Proposal, request: ReportedRequest, expires: str | None) -> tuple[Fact, ...]:
    rule = proposal.approval
    found = [Fact(term="Expires", value=when(expires))]
    if rule is not None:
        needed = "one person" if rule.approvals == 1 else f"{rule.approvals} people"
        group = f" of group {rule.required_group}" if rule.required_group else ""
        own = "" if rule.requester_may_approve else f"; not of {request.spec.requested_by}, who asked"
        found.append(Fact(term="It needs the yes of", value=f"{needed}{group}{own}"))
    found.append(Fact(term="A yes covers", value="this proposal under this digest, and nothing else"))
    return tuple(found)


def _commands(order: ReportOrder, request: ReportedRequest) -> tuple[Fact, ...]:
    place = f"{request.name} -n {order.namespace}"
    return (
        Fact(term="Look closer", value=f"kubectl refit explain {place}", code=True),
        Fact(term="Say yes", value=f"kubectl refit approve {place}", code=True),
        Fact(term="Say no", value=f'kubectl refit reject {place} --reason "..."', code=True),
    )
