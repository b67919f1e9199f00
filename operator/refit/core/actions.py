"""Actions: for each what keeps it from being done, what it changes, and how far it has come.

An action changes only what the next pass derives everything from: the model's status, or its spec. Each
start is told apart by the request's name that it leaves there, so that a thing begun twice is done once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from refit.api.deploymentstatus import ModelDeploymentStatus, Override, TrainingPhase, VersionState
from refit.api.outcome import Result
from refit.api.proposal import Change
from refit.api.reasons import Reason
from refit.api.remediationrequest import Action
from refit.api.times import moment
from refit.core.configchange import applied, config_problem
from refit.core.course import Course, Problem, Progress, Scene
from refit.core.monitoring import requests_problem
from refit.core.observed import Deployment, RequestSeen
from refit.core.rollouts import of_version, promote, promote_problem, record_of, roll_back, rollback_problem, rolled

Start = Callable[[ModelDeploymentStatus, Deployment, RequestSeen, datetime], ModelDeploymentStatus]


def unchanged(
    status: ModelDeploymentStatus, deployment: Deployment, request: RequestSeen, now: datetime
) -> ModelDeploymentStatus:  # the signature of a Start
    """Nothing in status shows that this was begun."""
    del deployment, request, now
    return status


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One action. A risky one waits for approval; the others hurt nobody and are done at once. Of one that is tried, a
    Job tells beforehand what it would bring."""

    risky: bool
    problem: Callable[[Deployment, RequestSeen], Problem | None]
    progress: Callable[[RequestSeen, Scene], Progress]
    start: Start = unchanged
    tried: bool = False


def changes(deployment: Deployment, request: RequestSeen) -> tuple[Change, ...]:
    """What would be different, from what to what."""
    spec, serving = request.spec, deployment.status.serving
    before = f"version {serving.version}" if serving is not None else "no version"
    match spec.action:
        case Action.RETRAIN:
            after = "a newly trained version, if it is better"
            return (Change(what="served version", before=before, after=after),)
        case Action.ROLLBACK | Action.PROMOTE:
            wanted = record_of(deployment.status.history, spec.parameters.to_version)
            digest = f" ({wanted.artifact.sha256[:12]})" if wanted is not None else ""
            return (
                Change(what="served version", before=before, after=f"version {spec.parameters.to_version}{digest}"),
            )
        case Action.SCALE:
            return (Change(what="replicas", before=str(_replicas(deployment)), after=str(spec.parameters.replicas)),)
        case Action.CHANGE_CONFIG:
            return applied(deployment.spec, spec.parameters.config or {}).changes
        case _:
            return ()


# Training


def _retrain_problem(deployment: Deployment, request: RequestSeen) -> Problem | None:
    del request
    problem = requests_problem(deployment.status.last_measurement)
    if problem is None:
        return None
    return Reason.REQUESTS_INVALID, f"retraining is refused while the requests are faulty: {problem}"


def _retrained(request: RequestSeen, scene: Scene) -> Progress:
    training = scene.status.training
    if training is None or training.request != request.name:
        return Progress(course=Course.FAILED, message="another training took its place: the spec changed meanwhile")
    if training.phase == TrainingPhase.RUNNING:
        return Progress(course=Course.RUNNING, message=training.message)
    if training.phase in (TrainingPhase.CHAMPION_KEPT, TrainingPhase.BELOW_BOUND):
        return Progress(course=Course.DONE, message=training.message, result=Result.CHAMPION_KEPT, after="as before")
    record = next((found for found in scene.status.history if found.key == training.key), None)
    if training.phase != TrainingPhase.SUCCEEDED or record is None:
        return Progress(course=Course.FAILED, message=training.message)
    if waits_for_promotion(scene.deployment) and record.state == VersionState.RETIRED:
        after = f"version {record.version}, which waits for Promote"
        return Progress(course=Course.DONE, message=training.message, result=Result.RETRAINED, after=after)
    return of_version(record, Result.RETRAINED)


def waits_for_promotion(deployment: Deployment) -> bool:
    """Whether a retraining's yes does not cover deploying what it made."""
    remediation = deployment.spec.remediation
    return remediation is not None and remediation.approval.ask_before_promotion


# How it is served


def _replicas(deployment: Deployment) -> int:
    override = deployment.status.override
    least = deployment.spec.serving.min_replicas
    return override.replicas if override is not None and override.replicas is not None else least


def _scale_problem(deployment: Deployment, request: RequestSeen) -> Problem | None:
    serving, wanted = deployment.spec.serving, request.spec.parameters.replicas or 0
    if serving.min_replicas <= wanted <= serving.max_replicas:
        return None
    bounds = f"{serving.min_replicas} to {serving.max_replicas}"
    return (
        Reason.OUT_OF_BOUNDS,
        f"spec.parameters.replicas is {wanted}, spec.serving allows {bounds}; ask within them, or change maxReplicas",
    )


def _scale(
    status: ModelDeploymentStatus, deployment: Deployment, request: RequestSeen, now: datetime
) -> ModelDeploymentStatus:
    del now
    override = (status.override or Override()).model_copy(
        update={
            "replicas": request.spec.parameters.replicas,
            "instead_of": deployment.spec.serving.min_replicas,
            "replicas_request": request.name,
        }
    )
    return status.model_copy(update={"override": override})


def _restart(
    status: ModelDeploymentStatus, deployment: Deployment, request: RequestSeen, now: datetime
) -> ModelDeploymentStatus:
    del deployment, now
    override = (status.override or Override()).model_copy(update={"restart_request": request.name})
    return status.model_copy(update={"override": override})


def _scaled(request: RequestSeen, scene: Scene) -> Progress:
    rollout, wanted = scene.service.rollout, request.spec.parameters.replicas or 0
    if rollout is not None and rollout.complete and rollout.available >= wanted:
        after = f"{rollout.available} replicas"
        return Progress(course=Course.DONE, message=f"{after} are available", result=Result.SCALED, after=after)
    return _until_late(request, scene, f"waiting for {wanted} replicas")


def _restarted(request: RequestSeen, scene: Scene) -> Progress:
    rollout = scene.service.rollout
    if rollout is not None and rollout.complete and rollout.restarted_for == request.name:
        return Progress(course=Course.DONE, message="all pods are new", result=Result.RESTARTED, after="new pods")
    return _until_late(request, scene, "replacing pods")


def _until_late(request: RequestSeen, scene: Scene, message: str) -> Progress:
    begun = request.status.execution
    late = begun is not None and scene.now - moment(begun.start_time) > scene.config.rollout_timeout
    rollout = scene.service.rollout
    trouble = (rollout.pod_message or rollout.pod_waiting) if rollout is not None else ""
    told = f"{message}{f' ({trouble})' if trouble else ''}"
    return Progress(course=Course.FAILED if late else Course.RUNNING, message=f"not in time: {told}" if late else told)


def _reconfigured(request: RequestSeen, scene: Scene) -> Progress:
    found = applied(scene.deployment.spec, request.spec.parameters.config or {})
    if not found.changes:
        after = ", ".join(f"{path}={value}" for path, value in sorted((request.spec.parameters.config or {}).items()))
        return Progress(course=Course.DONE, message="the spec says so", result=Result.CONFIG_CHANGED, after=after[:256])
    return _until_late(request, scene, "changing the spec")


def _at_once(result: Result) -> Callable[[RequestSeen, Scene], Progress]:
    def progress(request: RequestSeen, scene: Scene) -> Progress:
        del scene
        return Progress(course=Course.DONE, message=f"{request.spec.action}: done", result=result)

    return progress


def _no_problem(deployment: Deployment, request: RequestSeen) -> Problem | None:
    del deployment, request
    return None


ACTIONS: dict[Action, Rule] = {
    Action.LOG: Rule(risky=False, problem=_no_problem, progress=_at_once(Result.LOGGED)),
    Action.NOTIFY: Rule(risky=False, problem=_no_problem, progress=_at_once(Result.NOTIFIED)),
    Action.SCALE: Rule(risky=False, problem=_scale_problem, start=_scale, progress=_scaled),
    Action.RESTART: Rule(risky=False, problem=_no_problem, start=_restart, progress=_restarted),
    Action.RETRAIN: Rule(risky=True, problem=_retrain_problem, progress=_retrained, tried=True),
    Action.PROMOTE: Rule(
        risky=True, problem=promote_problem, start=promote, progress=rolled(Result.PROMOTED), tried=True
    ),
    Action.ROLLBACK: Rule(
        risky=True, problem=rollback_problem, start=roll_back, progress=rolled(Result.ROLLED_BACK), tried=True
    ),
    Action.CHANGE_CONFIG: Rule(risky=True, problem=config_problem, progress=_reconfigured),
}
