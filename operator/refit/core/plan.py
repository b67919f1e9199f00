"""The plan: from everything observed of one ModelDeployment to everything that should be done now.

`plan` is pure. A crash between any two of the plan's effects is repaired by the next pass, because
the next pass derives the same plan from what then stands in the cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from refit.api import meta
from refit.api.conditions import Condition, ConditionStatus, find, merge
from refit.api.deploymentstatus import (
    CanaryPhase,
    ModelDeploymentStatus,
    TrainingPhase,
    VersionRecord,
    VersionState,
)
from refit.api.modeldeployment import SPEC_LIMIT, size
from refit.api.reasons import ConditionType, Reason
from refit.api.times import moment
from refit.core import canary, execution, freeze, inference, monitoring, reports, serving, splitter, tracing, training
from refit.core.actions import waits_for_promotion
from refit.core.answers import Answer
from refit.core.diagnosis import diagnose
from refit.core.impact import retraining_order
from refit.core.job import training_job
from refit.core.measurementjob import measurement_job
from refit.core.monitoring import Told
from refit.core.notes import Note, note
from refit.core.observed import CanarySeen, Config, Manifest, Observed
from refit.core.obstacles import safeguards
from refit.core.policy import respond
from refit.core.proposals import Evidence, decide
from refit.core.requests import answers
from refit.core.status import Facts, Finding, conditions

WAIT_FOR_POD = timedelta(seconds=2)
"""How soon to look again at a roll-out; its pods' own words make no event that we watch."""
SOON = timedelta(milliseconds=50)
WAIT_FOR_INSTALL = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class JobReference:
    """A Job to delete, by name: deletions are named, never inferred."""

    name: str
    namespace: str


@dataclass(frozen=True, kw_only=True)
class ServiceReference:
    """An InferenceService to delete, by name: only ever that of a canary."""

    name: str
    namespace: str


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The registered version that the alias `champion` should name."""

    model: str
    version: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do, in this order: delete, create, apply, alias, change of the spec, report, status, note, answers to
    requests. `report` is the Job of a report: should it be refused, all else goes on."""

    status: ModelDeploymentStatus
    delete: tuple[JobReference, ...] = ()
    delete_canary: ServiceReference | None = None
    create: tuple[Manifest, ...] = ()
    apply: tuple[Manifest, ...] = ()
    spec_patch: Manifest | None = None
    report: Manifest | None = None
    champion: Champion | None = None
    answers: tuple[Answer, ...] = ()
    note: Note | None = None
    again_after: timedelta


def plan(seen: Observed, now: datetime, config: Config) -> Plan:
    """What should be done about this ModelDeployment now."""
    problem = spec_problem(seen)
    if problem is not None:
        return _finished(seen, Plan(status=seen.deployment.status, again_after=config.resync), problem, now)
    seen = execution.with_begun(seen, now)
    draft = _training(seen, now, config)
    blocked = _blocked(seen)
    draft, rolling = _serving(seen, draft, blocked, now, config)
    draft, told = _watching(seen, draft, now, config)
    draft, diagnosed = _proposing(seen, draft, now, config)
    draft = _reporting(seen, draft, now, config)
    return _finished(seen, draft, blocked, now, (*rolling, *told, *diagnosed))


def refused(seen: Observed, reason: Reason, message: str, now: datetime, config: Config) -> Plan:
    """The plan when the API server refuses what should be done: say so in status, change nothing else."""
    finding = Finding(reason=reason, message=message[:1024], stalled=True)
    return _finished(seen, Plan(status=seen.deployment.status, again_after=config.resync), finding, now)


def spec_problem(seen: Observed) -> Finding | None:
    """What is wrong with a spec that the API server had to accept."""
    spec = seen.deployment.spec
    message = training.schedule_problem(spec.training.schedule) or freeze.windows_problem(spec.remediation)
    if size(spec) > SPEC_LIMIT:
        message = f"spec has {size(spec)} bytes, the limit is {SPEC_LIMIT}; shorten spec.data.expectations"
    return Finding(reason=Reason.INVALID_SPEC, message=message, stalled=True) if message else None


def _training(seen: Observed, now: datetime, config: Config) -> Plan:
    deployment = seen.deployment
    retrain = execution.retraining(seen.requests)
    want = training.wanted(deployment, now, retrain)
    step = training.step(deployment, want, seen.job, config, now)
    history = deployment.status.history
    if step.result is not None and step.result.registered is not None:
        wait = step.status.request is not None and waits_for_promotion(deployment)
        history = serving.with_result(history, step.status, step.result, step.result.registered, now, wait=wait)
    order = retraining_order(seen, step.status, retrain)
    create: tuple[Manifest, ...] = ()
    if step.create:
        trace = tracing.of_training(deployment, step.status, seen.requests)
        create = (tracing.traced(training_job(deployment, step.status, config, order), trace),)
    delete = (JobReference(name=step.delete_job, namespace=deployment.namespace),) if step.delete_job else ()
    again = config.resync if want.next_at is None else min(config.resync, max(want.next_at - now, WAIT_FOR_POD))
    return Plan(
        status=deployment.status.model_copy(update={"training": step.status, "history": history}),
        create=create,
        delete=delete,
        again_after=again,
    )


def _serving(
    seen: Observed, draft: Plan, blocked: Finding | None, now: datetime, config: Config
) -> tuple[Plan, tuple[Told, ...]]:
    deployment = seen.deployment
    history = draft.status.history
    step = canary.Step(history=history, status=deployment.status.canary, url=draft.status.url)
    if blocked is None:
        # What stands beside a candidate for now is not to be judged as if it were the candidate.
        if canary.main_version(history, deployment.status.canary) == serving.desired(history):
            history = serving.judged(history, seen.service, seen.proof, config, now)
        step = canary.step(seen, history, config, now)
    served = serving.served(step.history)
    name = meta.canary_name(deployment.name)
    planned = replace(
        draft,
        apply=_wanted(seen, step, config) if blocked is None else (),
        delete_canary=ServiceReference(name=name, namespace=deployment.namespace) if step.remove else None,
        champion=_champion(seen, served),
        status=draft.status.model_copy(
            update={
                "history": step.history,
                "serving": serving.serving_status(step.history),
                "canary": step.status,
                "url": step.url or seen.service.url or draft.status.url,
                "metric": f"{served.metric} {served.value}" if served is not None else None,
            }
        ),
        again_after=min(draft.again_after, step.again_after or draft.again_after),
    )
    return planned, step.told


def _wanted(seen: Observed, step: canary.Step, config: Config) -> tuple[Manifest, ...]:
    """Whatever should stand in the cluster to serve, as far as it does not."""
    deployment, look = seen.deployment, seen.canary or CanarySeen()
    pairs: list[tuple[Manifest | None, Manifest]] = []
    if step.main is not None:
        pairs.append((seen.service.runtime, inference.serving_runtime(deployment, config)))
        pairs.append((seen.service.manifest, inference.inference_service(deployment, step.main, config)))
    if step.beside is not None and deployment.spec.serving.canary is not None:
        percent = deployment.spec.serving.canary.percent
        pairs.append((look.service.manifest, inference.canary_service(deployment, step.beside, percent, config)))
    if step.weight is not None:
        pairs.append((look.graph, splitter.inference_graph(deployment, seen.service.url, step.weight)))
    return tuple(wanted for found, wanted in pairs if not inference.covers(found, wanted))


def _watching(seen: Observed, draft: Plan, now: datetime, config: Config) -> tuple[Plan, tuple[Told, ...]]:
    deployment, history = seen.deployment, draft.status.history
    step = monitoring.step(deployment, history, seen.measurement, config, now)
    record = serving.served(history)
    create: tuple[Manifest, ...] = ()
    if step.create and step.status is not None and record is not None and deployment.spec.monitoring is not None:
        made = measurement_job(deployment, deployment.spec.monitoring, record, step.status, config)
        create = (tracing.traced(made, tracing.of_measurement(deployment, step.status.key)),)
    delete = (JobReference(name=step.delete_job, namespace=deployment.namespace),) if step.delete_job else ()
    update = {"measurement": step.status, "last_measurement": step.last, "drift": monitoring.summary(step.last)}
    watched = replace(
        draft,
        status=draft.status.model_copy(update=update),
        create=(*draft.create, *create),
        delete=(*draft.delete, *delete),
        again_after=min(draft.again_after, step.again_after or draft.again_after),
    )
    return watched, monitoring.told(deployment, history, step, config)


def _proposing(seen: Observed, draft: Plan, now: datetime, config: Config) -> tuple[Plan, tuple[Told, ...]]:
    deployment, remediation = seen.deployment, seen.deployment.spec.remediation
    last = draft.status.last_measurement
    # An alert that began before this ModelDeployment was there is about another one of the same name.
    alerts = tuple(alert for alert in seen.alerts if moment(alert.starts_at) >= deployment.created)
    diagnosis = diagnose(deployment.spec.monitoring, last, alerts)
    still_open = tuple(request.name for request in seen.requests if request.open)
    answered = answers(seen, draft.status, diagnosis, alerts, config, now)
    draft = replace(
        draft,
        answers=answered.answers,
        create=(*draft.create, *answered.create),
        delete=(
            *draft.delete,
            *(JobReference(name=name, namespace=deployment.namespace) for name in answered.delete),
        ),
        spec_patch=answered.spec_patch,
        status=answered.status.model_copy(update={"open_requests": still_open[:32] or None}),
        again_after=draft.again_after
        if answered.again_after is None
        else min(draft.again_after, max(answered.again_after, SOON)),
    )
    if remediation is None:
        return draft, ()
    guarded = safeguards(seen, remediation, now)
    if diagnosis is None:
        nothing = (ConditionType.DIAGNOSED, ConditionStatus.FALSE, Reason.NOTHING_FOUND, "no rule holds")
        return draft, (nothing, *guarded)
    proposed = respond(diagnosis, remediation.policy, draft.status.history)
    evidence = Evidence(last=last, alerts=alerts)
    decision = decide(deployment, remediation, diagnosis, proposed, evidence, seen.requests, config, now)
    if decision.request is not None:
        draft = replace(draft, create=(*draft.create, decision.request))
    message = f"severity {diagnosis.severity}, {proposed.rule}: {proposed.action}"
    if decision.held_back:
        message = f"{message}, held back: {decision.held_back}"
    if seen.flooded:
        message = f"{message}; more alerts came in a short time than are looked at one by one"
    told = (ConditionType.DIAGNOSED, ConditionStatus.TRUE, diagnosis.class_, f"{message}; {diagnosis.reasoning}")
    if decision.escalated:
        escalated = (ConditionType.ESCALATED, ConditionStatus.TRUE, Reason.ESCALATED, decision.held_back)
        return draft, (told, escalated, *guarded)
    return draft, (told, *guarded)


def _reporting(seen: Observed, draft: Plan, now: datetime, config: Config) -> Plan:
    step = reports.step(seen, draft.status, config, now)
    gone = tuple(JobReference(name=name, namespace=seen.deployment.namespace) for name in step.delete)
    return replace(
        draft,
        status=draft.status.model_copy(update={"reports": step.reports or None}),
        report=step.create,
        delete=(*draft.delete, *gone),
        answers=reports.linked(draft.answers, seen.requests, step.reports),
        note=step.note,
        again_after=min(draft.again_after, step.again_after or draft.again_after),
    )


def _champion(seen: Observed, served: VersionRecord | None) -> Champion | None:
    """The alias moves when another version than before has proved itself."""
    before = seen.deployment.status.serving
    if served is None or (before is not None and before.version == served.version):
        return None
    return Champion(
        model=meta.registered_model(seen.deployment.namespace, seen.deployment.name), version=served.version
    )


def _blocked(seen: Observed) -> Finding | None:
    """What stands in the way of serving, whatever the model is."""
    if not seen.serving_installed:
        return Finding(
            reason=Reason.SERVING_UNAVAILABLE,
            message="the cluster does not know serving.kserve.io/v1beta1 InferenceService; install KServe",
        )
    if seen.service.terminating:
        return Finding(
            reason=Reason.PREVIOUS_TERMINATING,
            message=f"the InferenceService of an earlier {seen.deployment.name} is still being deleted",
        )
    if seen.service.foreign:
        return Finding(reason=Reason.NOT_OWNED, message=seen.service.foreign, stalled=True)
    return None


def _finished(seen: Observed, draft: Plan, blocked: Finding | None, now: datetime, told: tuple[Told, ...] = ()) -> Plan:
    deployment = seen.deployment
    facts = Facts(
        spec=deployment.spec,
        spec_hash=deployment.spec_hash,
        training=draft.status.training,
        history=draft.status.history,
        service=seen.service,
        blocked=blocked,
        hold=draft.status.hold,
        requests_problem=monitoring.requests_problem(draft.status.last_measurement),
        rolling=canary.rolling(draft.status.canary),
        told=told,
    )
    found = merge(deployment.status.conditions, conditions(facts, deployment.generation, now))
    status = draft.status.model_copy(update={"conditions": found, "observed_generation": deployment.generation})
    return replace(
        draft,
        status=status,
        note=note(deployment.status.conditions, found) or draft.note,
        again_after=_again(draft, blocked, found),
    )


def _again(draft: Plan, blocked: Finding | None, found: tuple[Condition, ...]) -> timedelta:
    if blocked is not None and not blocked.stalled:
        return min(WAIT_FOR_INSTALL, draft.again_after)
    training_now = draft.status.training
    if training_now is not None and training_now.phase == TrainingPhase.RUNNING:
        return min(WAIT_FOR_INSTALL, draft.again_after)
    if draft.status.canary is not None and draft.status.canary.phase == CanaryPhase.SPLITTING:
        return draft.again_after
    candidate = any(record.state == VersionState.CANDIDATE for record in draft.status.history)
    if candidate or find(found, ConditionType.RECONCILING) is not None:
        return min(WAIT_FOR_POD, draft.again_after)
    return draft.again_after
