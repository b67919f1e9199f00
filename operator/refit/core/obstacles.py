"""Obstacles: why a request comes to nothing, and what keeps one that was agreed to from being begun now."""

from __future__ import annotations

from datetime import datetime, timedelta

from refit.api.conditions import ConditionStatus
from refit.api.deploymentstatus import ModelDeploymentStatus, TrainingPhase, VersionState
from refit.api.reasons import ConditionType, Reason
from refit.api.remediation import Remediation, RemediationMode
from refit.api.remediationrequest import Action, RequestPhase
from refit.api.times import moment
from refit.core.actions import ACTIONS
from refit.core.answers import Next
from refit.core.freeze import frozen
from refit.core.monitoring import Told
from refit.core.observed import Observed, RequestSeen

SHORTEST, LONGEST = timedelta(minutes=5), timedelta(days=7)
"""How long a request may wait for its decision."""
TELLING = (Action.LOG, Action.NOTIFY)
"""Actions that only tell: neither a freeze nor other work holds them up."""


def end_of(request: RequestSeen, seen: Observed, now: datetime) -> Next | None:
    """Why a request that was not begun yet comes to nothing; None if it may go on."""
    deployment, spec = seen.deployment, request.spec
    if spec.target_ref.uid is not None and spec.target_ref.uid != deployment.uid:
        message = f"{deployment.name} was deleted and created again since; make a new request"
        return Next(phase=RequestPhase.SUPERSEDED, reason=Reason.SUPERSEDED, message=message)
    if request.standing.ended:
        message = "the ledger says that this was carried out and ended before; it is not done again"
        return Next(phase=RequestPhase.FAILED, reason=Reason.EXECUTION_FAILED, message=message)
    if spec.expires_at is not None:
        span = moment(spec.expires_at) - request.created
        if not SHORTEST <= span <= LONGEST:
            message = f"spec.expiresAt {spec.expires_at}: must be 5 minutes to 7 days after the request was made"
            return Next(phase=RequestPhase.FAILED, reason=Reason.OUT_OF_BOUNDS, message=message)
        if moment(spec.expires_at) <= now and request.status.phase != RequestPhase.AWAITING_APPROVAL:
            message = f"nobody decided before {spec.expires_at}"
            return Next(phase=RequestPhase.EXPIRED, reason=Reason.EXPIRED, message=message)
    twin = _twin(request, seen.requests)
    if twin is not None:
        message = f"{twin.name} asks for the same and is open; decide on that one"
        return Next(phase=RequestPhase.SUPERSEDED, reason=Reason.DUPLICATE, message=message)
    problem = ACTIONS[spec.action].problem(deployment, request)
    if problem is not None:
        # What somebody agreed to and became impossible since was overtaken; the rest was never possible.
        phase = RequestPhase.SUPERSEDED if request.status.approvals else RequestPhase.FAILED
        return Next(phase=phase, reason=problem[0], message=problem[1])
    return None


def _twin(request: RequestSeen, requests: tuple[RequestSeen, ...]) -> RequestSeen | None:
    """An older open request for the very same."""
    for other in requests:
        if other.uid == request.uid:
            return None
        same = (other.spec.action, other.spec.parameters) == (request.spec.action, request.spec.parameters)
        if other.open and same:
            return other
    return None


def obstacle_to(
    request: RequestSeen, seen: Observed, remediation: Remediation, busy: str, now: datetime
) -> tuple[Reason, str] | None:
    """What keeps a request that was agreed to from being begun now."""
    telling = request.spec.action in TELLING
    if busy and not telling:
        return Reason.WAITING_FOR_OTHER, busy
    why = frozen(remediation, seen.switch, now)
    if why and not telling:
        return Reason.FROZEN, why
    if seen.ledger:
        return Reason.LEDGER_UNAVAILABLE, f"{seen.ledger}; nothing is carried out that cannot be recorded"
    if seen.guard and ACTIONS[request.spec.action].risky:
        return Reason.UNGUARDED, f"{seen.guard}; nothing risky is carried out without the guard"
    return None


def occupation(seen: Observed, status: ModelDeploymentStatus) -> str:
    """What the model is about already; one thing at a time."""
    under_way = [request.name for request in seen.requests if request.status.phase == RequestPhase.EXECUTING]
    if under_way:
        return f"{under_way[0]} is being carried out"
    if status.training is not None and status.training.phase == TrainingPhase.RUNNING:
        return f"training {status.training.key} runs"
    candidate = next((record for record in status.history if record.state == VersionState.CANDIDATE), None)
    return f"version {candidate.version} is being rolled out" if candidate is not None else ""


def safeguards(seen: Observed, remediation: Remediation, now: datetime) -> tuple[Told, ...]:
    """Whether what is approved could be carried out now; nothing to tell where nothing ever is."""
    if remediation.mode == RemediationMode.OBSERVE:
        return ()
    guard = seen.guard or seen.ledger
    guarded = (
        ConditionType.APPROVAL_GUARD,
        ConditionStatus.FALSE if guard else ConditionStatus.TRUE,
        Reason.UNGUARDED if seen.guard else Reason.LEDGER_UNAVAILABLE if guard else Reason.GUARDED,
        guard or "an approval without the right to it is refused, and every action is recorded",
    )
    why = frozen(remediation, seen.switch, now)
    if not why:
        return (guarded,)
    return (guarded, (ConditionType.FROZEN, ConditionStatus.TRUE, Reason.FROZEN, why))
