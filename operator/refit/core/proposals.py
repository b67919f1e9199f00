"""Proposals: from a diagnosis to at most one RemediationRequest.

A request's name is computed from what came before it, so that a thing diagnosed twice is proposed once:
ten thousand alerts make one request. Cool-down and daily budget hold further ones back, and say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from refit.api import meta
from refit.api.measured import LastMeasurement, Verdict
from refit.api.proposal import Change, Proposal
from refit.api.remediation import Remediation
from refit.api.remediationrequest import (
    Action,
    AlertReference,
    Diagnosis,
    RemediationRequestSpec,
    TargetRef,
    Trigger,
    TriggerType,
)
from refit.api.times import stamp
from refit.core.observed import AlertSeen, Config, Deployment, Manifest, RequestSeen
from refit.core.policy import Proposed

ROLE = "request"
DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A request to create, or why there is none."""

    request: Manifest | None = None
    held_back: str = ""


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
    return Decision(request=_manifest(deployment, name, spec))


def proposal(deployment: Deployment, request: RequestSeen, diagnosis: Diagnosis) -> Proposal:
    """What would be done, in words, with the digest that an approver approves."""
    changes = _changes(deployment, request)
    text = f"{request.spec.action} {deployment.name}: {diagnosis.reasoning}"
    content = {
        "target": deployment.uid,
        "action": request.spec.action,
        "parameters": request.spec.parameters.wire(),
        "change": [change.wire() for change in changes],
        "spec": deployment.spec_hash,
    }
    return Proposal(digest=f"sha256:{meta.sha256(content)}", text=text[:1024], change=changes)


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
        features=tuple(feature.column for feature in last.features) if last is not None and drifted else (),
    )


def _manifest(deployment: Deployment, name: str, spec: RemediationRequestSpec) -> Manifest:
    return {
        "apiVersion": meta.API_VERSION,
        "kind": meta.REQUEST_KIND,
        "metadata": {
            "name": name,
            "namespace": deployment.namespace,
            "labels": meta.child_labels(deployment.name, ROLE),
            "ownerReferences": [deployment.owner()],
        },
        "spec": spec.wire(),
    }


def _changes(deployment: Deployment, request: RequestSeen) -> tuple[Change, ...]:
    serving = deployment.status.serving
    before = f"version {serving.version}" if serving is not None else "no version"
    match request.spec.action:
        case Action.RETRAIN:
            return (
                Change(what="served version", before=before, after="a newly trained version, if it passes the gate"),
            )
        case Action.ROLLBACK | Action.PROMOTE:
            after = f"version {request.spec.parameters.to_version}"
            return (Change(what="served version", before=before, after=after),)
        case Action.SCALE:
            replicas = deployment.spec.serving.min_replicas
            return (Change(what="replicas", before=str(replicas), after=str(request.spec.parameters.replicas)),)
        case Action.CHANGE_CONFIG:
            changed = request.spec.parameters.config or {}
            return tuple(Change(what=path[:256], after=value) for path, value in changed.items())
        case _:
            return ()
