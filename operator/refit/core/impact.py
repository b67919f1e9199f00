"""Impact: what an action would bring, measured by a Job before anybody is asked.

The window is fixed when the Job is ordered, so that what was predicted, what is approved and what is then
trained on are the same requests.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from refit.api import jobs, meta
from refit.api.deploymentstatus import TrainingStatus, VersionRecord
from refit.api.orders import ImpactOrder, RetrainingOrder, VersionOrder
from refit.api.proposal import Estimate, EstimatePhase, EvidenceWindow
from refit.api.remediation import Remediation, RowsRule
from refit.api.remediationrequest import Action
from refit.api.results import ImpactResult, ResultUnreadableError, decode_impact
from refit.api.times import stamp
from refit.core.actions import ACTIONS
from refit.core.job import trainer_container, trainer_volumes
from refit.core.observed import Config, Deployment, JobState, Manifest, Observed, RequestSeen
from refit.core.pods import job_template
from refit.core.rollouts import good_versions
from refit.core.serving import served
from refit.core.tracing import traced

ROLE = "impact"
GRACE_SECONDS = 300
"""Beside the trial's budget: fetching the rows, replaying them, and the start of the pod."""


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """How an estimate stands: a Job to create, or what was told in this pass; and when to look at it again."""

    estimate: Estimate | None = None
    create: Manifest | None = None
    told: ImpactResult | None = None
    again_after: timedelta | None = None

    @property
    def running(self) -> bool:
        return self.estimate is not None and self.estimate.phase == EstimatePhase.RUNNING


def step(deployment: Deployment, request: RequestSeen, config: Config, now: datetime) -> Estimated:
    """The next step of a request's estimate: none where it can not be made, else order, wait, or take the answer."""
    current = request.status.estimate
    if current is None:
        return _ordered(deployment, request, config, now)
    if current.phase == EstimatePhase.ENDED:
        return Estimated(estimate=current)
    job = request.job
    if job is not None and job.state is JobState.ACTIVE:
        return Estimated(estimate=current, again_after=_deadline(deployment))
    told, why = None, f"Job {current.job} was deleted before it answered"
    if job is not None:
        why = f"Job {job.name} failed; see: kubectl logs -n {deployment.namespace} job/{job.name}"
        try:
            told = decode_impact(job.message) if job.message else None
        except ResultUnreadableError as error:
            why = str(error)
    if told is not None:
        why = told.message
    ended = current.model_copy(update={"phase": EstimatePhase.ENDED, "message": why[:1024]})
    return Estimated(estimate=ended, told=told)


def _ordered(deployment: Deployment, request: RequestSeen, config: Config, now: datetime) -> Estimated:
    monitoring, record = deployment.spec.monitoring, served(deployment.status.history)
    possible = monitoring is not None and record is not None and config.collector_url
    if not ACTIONS[request.spec.action].tried or not possible or monitoring is None or record is None:
        return Estimated()
    # What came before this ModelDeployment was there is about another one of the same name.
    since = max(now - timedelta(hours=monitoring.window.hours), deployment.created)
    ordered = Estimate(
        job=meta.impact_job_name(deployment.name, request.uid),
        phase=EstimatePhase.RUNNING,
        window=EvidenceWindow(since=stamp(since), until=stamp(now)),
        start_time=stamp(now),
    )
    return Estimated(
        estimate=ordered,
        create=traced(impact_job(deployment, request, record, ordered, config), request.trace),
        again_after=_deadline(deployment),
    )


def _deadline(deployment: Deployment) -> timedelta:
    """How soon to look at an estimate whose Job makes no event any more."""
    return timedelta(seconds=(deployment.spec.remediation or Remediation()).retraining.trial_seconds + GRACE_SECONDS)


def impact_job(
    deployment: Deployment, request: RequestSeen, record: VersionRecord, ordered: Estimate, config: Config
) -> Manifest:
    """The Job. It reads requests from the collector and versions from MLflow, and changes nothing."""
    labels = meta.child_labels(deployment.name, ROLE)
    retraining = (deployment.spec.remediation or Remediation()).retraining
    order = ImpactOrder(
        key=meta.short_hash(request.uid),
        action=request.spec.action,
        window=ordered.window,
        serving=version_order(record),
        versions=_versions(deployment, request),
        to_version=request.spec.parameters.to_version,
        rows=retraining.rows,
        budget_seconds=retraining.trial_seconds,
    )
    told = {jobs.IMPACT: json.dumps(order.wire(), separators=(",", ":"))}
    container = {**trainer_container(deployment, order.key, told, config), "args": ["impact"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": ordered.job,
            "namespace": deployment.namespace,
            "labels": labels,
            "ownerReferences": [deployment.owner()],
        },
        "spec": {
            "backoffLimit": 1,
            "activeDeadlineSeconds": retraining.trial_seconds + GRACE_SECONDS,
            "template": job_template(labels, container, trainer_volumes(deployment, told, config)),
        },
    }


def version_order(record: VersionRecord) -> VersionOrder:
    """A version as a Job is told of it."""
    return VersionOrder(
        version=record.version, artifact_uri=record.artifact.uri, artifact_sha256=record.artifact.sha256
    )


def retraining_order(seen: Observed, ordered: TrainingStatus, retrain: RequestSeen | None) -> RetrainingOrder | None:
    """Whom a training must better, and which requests it learns from; None for a first model and a changed spec.

    A training that its owner asked for by annotation is the owner's word: it has only the gate to pass.
    """
    deployment = seen.deployment
    champion = served(deployment.status.history)
    by_itself = ordered.request is not None or ordered.cause.startswith("schedule")
    if champion is None or champion.spec_hash != ordered.spec_hash or not by_itself:
        return None
    proposal = retrain.status.proposal if retrain is not None else None
    remediation = deployment.spec.remediation or Remediation()
    return RetrainingOrder(
        champion=version_order(champion),
        rows=remediation.retraining.rows if retrain is not None else RowsRule.APPEND,
        window=proposal.window if proposal is not None else None,
        request=ordered.request,
    )


def _versions(deployment: Deployment, request: RequestSeen) -> tuple[VersionOrder, ...]:
    """The versions one could go to: all that were good, and the one that is asked for."""
    if request.spec.action == Action.RETRAIN:
        return ()
    good = {*good_versions(deployment.status.history), request.spec.parameters.to_version}
    return tuple(version_order(record) for record in deployment.status.history if record.version in good)
