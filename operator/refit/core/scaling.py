"""Scaling: what another number of pods would do to the time to an answer, told before it is done and looked at after.

No Job could answer before the pods that it is about are there; so the operator itself reads twice what they count, ten
seconds apart. Whoever asked waits no longer than half a minute for it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from refit.api.deploymentstatus import Override
from refit.api.outcome import RealisedImpact
from refit.api.proposal import LATENCY, Estimate, EstimatePhase, EvidenceWindow, PredictedImpact
from refit.api.remediationrequest import Action, RequestPhase
from refit.api.results import ImpactResult
from refit.api.times import moment, stamp
from refit.core.impact import Estimated
from refit.core.observed import Deployment, Load, RequestSeen
from refit.core.queueing import LEAST_REQUESTS, Sample, foreseen, latency
from refit.core.serving import served

COUNTING = timedelta(seconds=10)
"""For so long at least pods count; also how soon they are asked again."""
LATER = timedelta(seconds=60)
"""How soon they are asked again for what came of it, which nobody waits for."""
PATIENCE = timedelta(seconds=30)
FOLLOWED = timedelta(minutes=30)
"""For so long after its beginning a scaling's effect is looked for."""


def concerned(deployment: Deployment, requests: tuple[RequestSeen, ...], now: datetime) -> bool:
    """Whether somebody should ask the pods what they count."""
    return any(_counts(request) or _followed(deployment, request, now) for request in requests)


def step(deployment: Deployment, request: RequestSeen, load: Load | None, now: datetime) -> Estimated:
    """The next step of a scaling's estimate: wait for the second reading, or say what both told."""
    current = request.status.estimate
    if current is None:
        if served(deployment.status.history) is None:
            return Estimated()
        window = EvidenceWindow(since=stamp(now), until=stamp(now + COUNTING))
        begun = Estimate(phase=EstimatePhase.RUNNING, window=window, start_time=stamp(now))
        return Estimated(estimate=begun, again_after=COUNTING)
    if current.phase == EstimatePhase.ENDED:
        return Estimated(estimate=current)
    sample = _sample(deployment, load)
    late = now - moment(current.start_time) >= PATIENCE
    if load is None or sample is None:
        why = (load.problem if load is not None else "") or "its pods were not the same for ten seconds"
        return _told(request, current, why) if late else Estimated(estimate=current, again_after=COUNTING)
    if sample.requests < LEAST_REQUESTS and not late:
        return Estimated(estimate=current, again_after=COUNTING)
    current = current.model_copy(update={"window": EvidenceWindow(since=stamp(load.since), until=stamp(load.until))})
    found = foreseen(sample, request.spec.parameters.replicas or 1)
    return _told(request, current, found)


def realised(deployment: Deployment, request: RequestSeen, load: Load | None, now: datetime) -> RealisedImpact | None:
    """The time to an answer once all pods that were asked for count, by the same formula; None as long as nobody can tell."""
    proposal, sample = request.status.proposal, _sample(deployment, load)
    predicted = proposal.predicted_impact if proposal is not None else None
    if predicted is None or sample is None or not _followed(deployment, request, now):
        return None
    after = latency(sample)
    if isinstance(after, str) or len(sample.pods) != request.spec.parameters.replicas:
        return None
    return RealisedImpact(
        metric=LATENCY,
        before=predicted.now,
        after=f"{after:.4g}",
        rows=sample.requests,
        inside=float(predicted.low) <= after <= float(predicted.high),
    )


def _counts(request: RequestSeen) -> bool:
    """Whether its estimate waits for what pods count."""
    begun, estimate = request.status.phase == RequestPhase.EXECUTING, request.status.estimate
    ended = estimate is not None and estimate.phase == EstimatePhase.ENDED
    return request.spec.action == Action.SCALE and request.open and not begun and not ended


def _followed(deployment: Deployment, request: RequestSeen, now: datetime) -> bool:
    """Whether what came of it is still to be told: it was done a while ago, and the pods are as many as it asked for."""
    status, override = request.status, deployment.status.override or Override()
    told = status.outcome is None or status.outcome.realised_impact is not None
    if request.spec.action != Action.SCALE or status.phase != RequestPhase.EXECUTED or told:
        return False
    predicted = status.proposal is not None and status.proposal.predicted_impact is not None
    lately = status.execution is not None and now - moment(status.execution.start_time) < FOLLOWED
    return predicted and lately and override.replicas_request == request.name


def _sample(deployment: Deployment, load: Load | None) -> Sample | None:
    """What pods counted, if it was for long enough."""
    if load is None or not load.pods or load.span < COUNTING:
        return None
    return Sample(pods=load.pods, seconds=load.span.total_seconds(), speed=_speed(deployment))


def _speed(deployment: Deployment) -> float:
    """The share of a processor that a pod may use; more than one is of no use to it."""
    limit = deployment.spec.serving.resources.limits.cpu or "1"
    return min(1.0, float(limit.removesuffix("m")) / 1000 if limit.endswith("m") else float(limit))


def _told(request: RequestSeen, current: Estimate, found: PredictedImpact | str) -> Estimated:
    message = found if isinstance(found, str) else ""
    predicted = found if isinstance(found, PredictedImpact) else None
    return Estimated(
        estimate=current.model_copy(update={"phase": EstimatePhase.ENDED, "message": message[:1024]}),
        told=ImpactResult(key=request.uid, predicted=predicted, message=message),
    )
