"""Proposals: from a diagnosis to at most one RemediationRequest.

A request's name is computed from what came before it, so that a thing diagnosed twice is proposed once:
ten thousand alerts make one request. Cool-down and daily budget hold further ones back, and say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from refit.api import meta, traces
from refit.api.measured import LastMeasurement, Verdict
from refit.api.outcome import Result
from refit.api.proposal import ApprovalRule, Estimate, PredictedImpact, Proposal
from refit.api.remediation import Remediation
from refit.api.remediationrequest import (
    Action,
    AlertReference,
    Diagnosis,
    RemediationRequestSpec,
    RequestPhase,
    TargetRef,
    Trigger,
    TriggerType,
)
from refit.api.results import ImpactResult
from refit.api.times import stamp
from refit.core import tracing
from refit.core.actions import ACTIONS, changes
from refit.core.observed import AlertSeen, Config, Deployment, Manifest, RequestSeen
from refit.core.policy import Proposed

ROLE = "request"
NO_DIGEST = f"sha256:{'0' * 64}"
"""Stands where the digest goes while it is computed."""
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A request to create, or why there is none."""

    request: Manifest | None = None
    held_back: str = ""
    escalated: bool = False


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a request refers to."""

    last: LastMeasurement | None
    alerts: tuple[AlertSeen, ...]


def decide(
    deployment: Deployment,
    remediation: Remediation,
    diagnosis: Diagnosis,
    proposed: Proposed,
    evidence: Evidence,
    requests: tuple[RequestSeen, ...],
    config: Config,
    now: datetime,
) -> Decision:
    """Whether to open a request for this action now."""
    if proposed.action == Action.LOG:
        return Decision()
    ours = sorted(
        (request for request in requests if request.ours), key=lambda request: (request.created, request.name)
    )
    same = [request for request in ours if request.spec.action == proposed.action]
    if any(request.open for request in same):
        return Decision()
    limits = remediation.limits
    cooled = same[-1].created + timedelta(seconds=limits.cooldown_seconds) if same else now
    if cooled > now:
        return Decision(
            held_back=f"{proposed.action} was proposed by {same[-1].name}; not again before {stamp(cooled)}"
        )
    tries = unsuccessful(same)
    if tries >= limits.attempts:
        contact = remediation.approval.escalation_contact
        return Decision(
            held_back=f"{proposed.action} came to nothing {tries} times, spec.remediation.limits.attempts is "
            f"{limits.attempts}; a person must look{f', see {contact}' if contact else ''}",
            escalated=True,
        )
    today = [request for request in ours if request.created > now - DAY]
    if len(today) >= limits.per_day:
        return Decision(
            held_back=f"{len(today)} requests in 24 hours, spec.remediation.limits.perDay is {limits.per_day}; "
            f"{proposed.action} is not proposed"
        )
    name = meta.request_name(
        deployment.name,
        proposed.action,
        meta.short_hash([deployment.uid, proposed.action, same[-1].name if same else ""], 8),
    )
    spec = RemediationRequestSpec(
        target_ref=TargetRef(name=deployment.name, uid=deployment.uid),
        action=proposed.action,
        parameters=proposed.parameters,
        trigger=_trigger(evidence),
        requested_by=config.identity,
        expires_at=stamp(now + timedelta(seconds=remediation.approval.expires_after_seconds)),
        note=f"{diagnosis.class_}, severity {diagnosis.severity} ({proposed.rule})",
    )
    return Decision(request=_manifest(deployment, name, spec, _trace(deployment, evidence)))


def proposal(
    deployment: Deployment,
    request: RequestSeen,
    diagnosis: Diagnosis | None,
    estimate: Estimate | None,
    told: ImpactResult | None,
    guard: str,
) -> Proposal:
    """What would be done if it were decided now. Its digest covers all that an approver is shown, and the model
    as it serves; from the same world it is the same, so that a proposal made anew tells whether the world moved on.

    `told` is what the estimate answered in this pass; before and after it, what stands in status is kept.
    `guard` is the guard's version, empty while it is in doubt.
    """
    stated = request.status.proposal
    remediation = deployment.spec.remediation or Remediation()
    automatic = not ACTIONS[request.spec.action].risky
    predicted = told.predicted if told is not None else stated.predicted_impact if stated is not None else None
    expires = request.created + timedelta(seconds=remediation.approval.expires_after_seconds)
    made = Proposal(
        digest=NO_DIGEST,
        text=_text(deployment, request, diagnosis, estimate, predicted),
        automatic=automatic,
        change=changes(deployment, request),
        window=estimate.window if estimate is not None else None,
        predicted_impact=predicted,
        ranking=told.ranking if told is not None else stated.ranking if stated is not None else (),
        approval=None if automatic else _rule(remediation),
        guard=None if automatic else guard or (stated.guard if stated is not None else None),
        expires_at=stated.expires_at if stated is not None else request.spec.expires_at or stamp(expires),
    )
    serving = deployment.status.serving
    content = {
        "proposal": made.wire(),
        "request": request.uid,
        "target": deployment.uid,
        "spec": deployment.spec_hash,
        "action": request.spec.action,
        "parameters": request.spec.parameters.wire(),
        "serving": serving.artifact.sha256 if serving is not None else "",
    }
    return made.model_copy(update={"digest": f"sha256:{meta.sha256(content)}"})


def unsuccessful(requests: list[RequestSeen]) -> int:
    """How many of the newest requests in a row, given in the order of their making, did not better anything."""
    found = 0
    for request in reversed(requests):
        outcome = request.status.outcome
        kept = outcome is not None and outcome.result in (Result.CHAMPION_KEPT, Result.RETURNED)
        if request.status.phase not in (RequestPhase.FAILED, RequestPhase.REJECTED) and not kept:
            break
        found += 1
    return found


def _rule(remediation: Remediation) -> ApprovalRule:
    approval = remediation.approval
    return ApprovalRule(
        approvals=approval.approvals,
        required_group=approval.required_group,
        requester_may_approve=approval.requester_may_approve,
    )


def _text(
    deployment: Deployment,
    request: RequestSeen,
    diagnosis: Diagnosis | None,
    estimate: Estimate | None,
    predicted: PredictedImpact | None,
) -> str:
    expected = ""
    if predicted is not None:
        expected = f"; predicted {predicted.metric} {predicted.now} -> {predicted.predicted} [{predicted.low}, {predicted.high}]"
    elif estimate is not None and estimate.message:
        expected = f"; no prediction: {estimate.message}"
    why = diagnosis.reasoning if diagnosis is not None else request.spec.note
    text = f"{request.spec.action} {deployment.name}{expected}: {why or f'asked for by {request.spec.requested_by}'}"
    return text[:1024]


def references(alerts: tuple[AlertSeen, ...]) -> tuple[AlertReference, ...]:
    """The alerts as a request names them."""
    return tuple(
        AlertReference(name=alert.name[:256], fingerprint=alert.fingerprint[:64], starts_at=alert.starts_at or None)
        for alert in alerts[:32]
    )


def _trigger(evidence: Evidence) -> Trigger:
    last, alerts = evidence.last, references(evidence.alerts)
    drifted = last is not None and last.verdict == Verdict.DRIFT
    return Trigger(
        type=TriggerType.ALERT if alerts else TriggerType.DRIFT,
        alerts=alerts,
        measurement=last.key if last is not None else None,
        features=tuple(one.column for one in (*last.features, *last.segments)) if last is not None and drifted else (),
    )


def _trace(deployment: Deployment, evidence: Evidence) -> str:
    """That of the first alert; else of the measurement."""
    if evidence.alerts:
        return tracing.of_alert(deployment, evidence.alerts[0])
    return tracing.of_measurement(deployment, evidence.last.key if evidence.last is not None else "")


def _manifest(deployment: Deployment, name: str, spec: RemediationRequestSpec, trace: str) -> Manifest:
    return {
        "apiVersion": meta.API_VERSION,
        "kind": meta.REQUEST_KIND,
        "metadata": {
            "name": name,
            "namespace": deployment.namespace,
            "labels": meta.child_labels(deployment.name, ROLE),
            "annotations": {traces.ANNOTATION: trace},
            "ownerReferences": [deployment.owner()],
        },
        "spec": spec.wire(),
    }
