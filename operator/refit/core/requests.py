"""What becomes of RemediationRequests: each gets an answer in its status, whoever made it.

A request is estimated, proposed, decided, begun, followed and told. One model does one thing at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from refit.api.conditions import find
from refit.api.deploymentstatus import ModelDeploymentStatus
from refit.api.outcome import Execution
from refit.api.proposal import Proposal
from refit.api.reasons import ConditionType, Reason
from refit.api.remediation import Remediation, RemediationMode
from refit.api.remediationrequest import Action, Diagnosis, RequestPhase
from refit.api.times import moment, stamp
from refit.core import entries, execution, impact, scaling
from refit.core.actions import ACTIONS
from refit.core.answers import Answer, Next, answer_to, decisions_seen, is_news
from refit.core.approval import Ruled, Ruling, asked, rule
from refit.core.configchange import applied
from refit.core.course import Scene
from refit.core.observed import AlertSeen, Config, Manifest, Observed, RequestSeen
from refit.core.obstacles import end_of, obstacle_to, occupation
from refit.core.proposals import proposal
from refit.core.rollouts import came_of

WAIT = timedelta(seconds=5)
"""How soon to look again at what waits for something that makes no event."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """All answers of a pass, and what they make the pass do."""

    answers: tuple[Answer, ...] = ()
    create: tuple[Manifest, ...] = ()
    delete: tuple[str, ...] = ()
    spec_patch: Manifest | None = None
    status: ModelDeploymentStatus
    again_after: timedelta | None = None


def orphaned(requests: tuple[RequestSeen, ...], target: str, now: datetime) -> tuple[Answer, ...]:
    """Answers to requests about a model that is not there: one that was there will not come again, another may."""
    found = []
    for request in requests:
        if not request.open:
            continue
        if request.spec.target_ref.uid is not None or request.status.proposal is not None:
            message = f"ModelDeployment {target} was deleted"
            following = Next(phase=RequestPhase.SUPERSEDED, reason=Reason.SUPERSEDED, message=message)
        else:
            message = f"there is no ModelDeployment {target} in this namespace"
            following = Next(phase=RequestPhase.PENDING, reason=Reason.TARGET_NOT_FOUND, message=message)
        found.append(answer_to(request, following, (), "", now))
    return tuple(answer for answer in found if is_news(answer))


def answers(
    seen: Observed,
    status: ModelDeploymentStatus,
    diagnosis: Diagnosis | None,
    alerts: tuple[AlertSeen, ...],
    config: Config,
    now: datetime,
) -> Answered:
    """Answers to the requests whose status says something else. `status` is the model's as this pass will write it."""
    contact = (seen.deployment.spec.remediation or Remediation()).approval.escalation_contact or ""
    busy = occupation(seen, status)
    collected = Answered(status=status, again_after=scaling.LATER if seen.load is not None else None)
    for request in seen.requests:
        if request.open:
            following = _next(request, seen, collected.status, diagnosis, alerts, busy, config, now)
            if following.phase == RequestPhase.EXECUTING and not busy:
                busy = f"{request.name} is being carried out"
        else:
            late = _late(request, seen, status, now)
            if late is None:
                continue
            following = late
        answer = answer_to(request, following, alerts, contact, now)
        collected = replace(
            collected,
            answers=(*collected.answers, answer) if is_news(answer) else collected.answers,
            create=(*collected.create, following.create) if following.create is not None else collected.create,
            delete=(*collected.delete, *_finished_job(request, following)),
            spec_patch=collected.spec_patch or following.spec_patch,
            status=following.status or collected.status,
            again_after=_sooner(collected.again_after, following.again_after),
        )
    return collected


def _next(
    request: RequestSeen,
    seen: Observed,
    status: ModelDeploymentStatus,
    diagnosis: Diagnosis | None,
    alerts: tuple[AlertSeen, ...],
    busy: str,
    config: Config,
    now: datetime,
) -> Next:
    deployment, spec = seen.deployment, request.spec
    scene = Scene(deployment=deployment, status=status, service=seen.service, config=config, now=now)
    if request.status.phase == RequestPhase.EXECUTING:
        return _follow(request, scene, alerts, seen.ledger)
    ended = end_of(request, seen, now)
    if ended is not None:
        return ended
    if spec.action == Action.SCALE:
        estimated = scaling.step(deployment, request, seen.load, now)
    else:
        estimated = impact.step(deployment, request, config, now)
    update: dict[str, Any] = {"estimate": estimated.estimate}
    stated = request.status.diagnosis
    if stated is None and request.ours and request.status.proposal is None:
        # What is asked about must not change any more because something else is diagnosed later.
        stated = diagnosis
    update["diagnosis"] = stated
    if estimated.running:
        message = f"measuring what {spec.action} would bring"
        return Next(
            phase=RequestPhase.PENDING,
            reason=Reason.ESTIMATING,
            message=message,
            update=update,
            create=estimated.create,
            again_after=estimated.again_after,
        )
    anew = proposal(deployment, request, stated, estimated.estimate, estimated.told, seen.guard_version)
    remediation = deployment.spec.remediation
    if remediation is None or remediation.mode == RemediationMode.OBSERVE:
        message = "spec.remediation.mode is Observe: this is proposed and never done; set it to Act"
        update["proposal"] = anew
        return Next(phase=RequestPhase.PENDING, reason=Reason.OBSERVE_ONLY, message=message, update=update)
    decided = _decided(request, anew, now)
    if decided.ruling in CLOSING:
        phase = CLOSING[decided.ruling]
        return Next(phase=phase, reason=decided.reason, message=decided.message, update=update, approved=decided)
    update["proposal"] = anew
    if decided.ruling is not Ruling.APPROVED:
        # Nobody has agreed to what stands there yet, so what stands there may still follow the world.
        return Next(
            phase=RequestPhase.AWAITING_APPROVAL,
            reason=decided.reason,
            message=decided.message,
            update=update,
            approved=decided,
            again_after=moment(anew.expires_at) - now if anew.expires_at is not None else None,
        )
    obstacle = obstacle_to(request, seen, remediation, busy, now)
    if obstacle is not None:
        reason, message = obstacle
        phase = RequestPhase.AWAITING_APPROVAL if ACTIONS[spec.action].risky else RequestPhase.PENDING
        told = f"{decided.message}; {message}" if decided.approvers else message
        return Next(phase=phase, reason=reason, message=told, update=update, approved=decided, again_after=WAIT)
    return _begin(request, scene, decided, update)


CLOSING = {
    Ruling.REJECTED: RequestPhase.REJECTED,
    Ruling.EXPIRED: RequestPhase.EXPIRED,
    Ruling.SUPERSEDED: RequestPhase.SUPERSEDED,
}


def _decided(request: RequestSeen, anew: Proposal, now: datetime) -> Ruled:
    if anew.automatic:
        message = f"{request.spec.action} hurts nobody and waits for nobody"
        return Ruled(ruling=Ruling.APPROVED, reason=Reason.AUTOMATIC, message=message)
    if request.status.proposal is None or request.status.phase != RequestPhase.AWAITING_APPROVAL:
        return Ruled(ruling=Ruling.AWAITING, reason=Reason.AWAITING_APPROVAL, message=asked(anew, 0))
    return rule(request, anew, now)


def _begin(request: RequestSeen, scene: Scene, decided: Ruled, update: dict[str, Any]) -> Next:
    """The intent is recorded, then the phase says so; the next pass does it."""
    serving = scene.status.serving
    update["execution"] = Execution(
        start_time=stamp(scene.now),
        digest=update["proposal"].digest,
        approvers=decided.approvers,
        from_version=serving.version if serving is not None else None,
    )
    update["decisions_seen"] = decisions_seen(request.status, scene.now)
    whole = request.status.model_copy(update=update)
    return Next(
        phase=RequestPhase.EXECUTING,
        reason=Reason.EXECUTING,
        message=f"{request.spec.action} begins: {decided.message}",
        update=update,
        entry=entries.intent(scene.deployment, request, whole),
        again_after=timedelta(0),
        approved=decided,
    )


def _follow(request: RequestSeen, scene: Scene, alerts: tuple[AlertSeen, ...], ledger: str) -> Next:
    if ledger:
        message = f"{ledger}; what was begun goes on, and is told once it can be recorded"
        return Next(phase=RequestPhase.EXECUTING, reason=Reason.LEDGER_UNAVAILABLE, message=message, again_after=WAIT)
    found = execution.follow(request, scene, alerts)
    update: dict[str, Any] = {"outcome": found.outcome}
    begun = request.status.execution
    if found.done_at is not None and begun is not None:
        update["execution"] = begun.model_copy(update={"done_time": stamp(found.done_at)})
    entry = None
    if found.outcome is not None and not request.standing.ended:
        whole = request.status.model_copy(update={**update, "phase": found.phase})
        entry = entries.outcome(scene.deployment, request, whole, found.outcome, found.message)
    config = request.spec.parameters.config
    change = applied(scene.deployment.spec, config) if config and found.outcome is None else None
    return Next(
        phase=found.phase,
        reason=found.reason,
        message=found.message,
        update=update,
        entry=entry,
        status=found.status,
        spec_patch=change.patch if change is not None else None,
        again_after=found.again_after or (WAIT if found.outcome is None else None),
    )


def _late(request: RequestSeen, seen: Observed, status: ModelDeploymentStatus, now: datetime) -> Next | None:
    """The realised impact of a request that ended before anybody knew it."""
    outcome = request.status.outcome
    if request.status.phase != RequestPhase.EXECUTED or outcome is None or outcome.realised_impact is not None:
        return None
    if request.spec.action == Action.SCALE:
        found = scaling.realised(seen.deployment, request, seen.load, now)
    else:
        found = execution.realised(request.status.proposal, came_of(request, status), status.last_measurement)
    if found is None:
        return None
    told = find(request.status.conditions, ConditionType.READY)
    known = outcome.model_copy(update={"realised_impact": found})
    return Next(
        phase=RequestPhase.EXECUTED,
        reason=Reason.EXECUTED,
        message=told.message if told is not None else "",
        update={"outcome": known},
        entry=entries.impact(seen.deployment, request, known),
    )


def _finished_job(request: RequestSeen, following: Next) -> tuple[str, ...]:
    """The Job of an estimate that was taken in, or of a request that came to an end."""
    estimate = request.status.estimate
    closed = following.phase not in (RequestPhase.PENDING, RequestPhase.AWAITING_APPROVAL, RequestPhase.EXECUTING)
    job = estimate.job if estimate is not None and request.job is not None and closed else None
    return (job,) if job is not None else ()


def _sooner(one: timedelta | None, other: timedelta | None) -> timedelta | None:
    known = [span for span in (one, other) if span is not None]
    return min(known, default=None)
