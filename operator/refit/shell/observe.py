"""Observe: everything that bears on one ModelDeployment, read in one pass and parsed.

Objects are read fresh, by name. A cache would be cheaper and sometimes wrong; what is decided here
creates Jobs and moves traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import ValidationError

from refit.api import meta
from refit.api.deploymentstatus import MeasurementPhase, TrainingPhase, VersionState, status_of
from refit.api.modeldeployment import spec_of
from refit.api.reports import ReportPhase
from refit.api.times import moment
from refit.core import canary, scaling, training
from refit.core.job import CONTAINER as TRAINER
from refit.core.measurementjob import CONTAINER as MONITOR
from refit.core.observed import (
    AlertSeen,
    Deployment,
    JobSeen,
    Manifest,
    Observed,
    Proof,
    ServiceSeen,
)
from refit.core.reportjob import CONTAINER as REPORTER
from refit.kube import cluster as kinds
from refit.kube.cluster import Cluster, KindMissingError
from refit.shell.canary_seen import canary_seen
from refit.shell.jobs_seen import own_job
from refit.shell.loads import Loads
from refit.shell.oversight import Overseer
from refit.shell.requests import Key, requests_about
from refit.shell.services_seen import Prover, rolled_out, service_seen

TRAIN_REQUESTED = f"{meta.GROUP}/train-requested-at"
"""Annotation by which an owner asks for another training; any new value is a new request."""
MEASURE_REQUESTED = f"{meta.GROUP}/measure-requested-at"
"""Annotation by which anybody who may write it asks for a measurement now; any new value is a new request."""


class UnreadableError(Exception):
    """A stored ModelDeployment does not fit the types of this version."""

    def __init__(self, problem: str, manifest: Manifest) -> None:
        super().__init__(problem)
        self.manifest = manifest


class Alerts(Protocol):
    """The alerts that were taken in."""

    async def firing(self, namespace: str, model: str) -> tuple[AlertSeen, ...]:
        """Those that fire for that model, the oldest first."""

    async def flooded(self, namespace: str, model: str) -> bool:
        """Whether alerts for that model were not passed on, since there were too many in a short time."""

    async def asked(self, namespace: str, model: str) -> str:
        """When a signed event last asked for a measurement of that model; empty if none did."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where a pass looks."""

    cluster: Cluster
    endpoint: Prover
    alerts: Alerts
    overseer: Overseer
    loads: Loads


async def observe(sources: Sources, key: Key, now: datetime, *, requested: bool) -> Observed | None:
    """What stands in the cluster for that key; None if the ModelDeployment is gone or going.

    `requested` says whether there are RemediationRequests about it that the operator did not make.
    """
    namespace, name = key
    cluster, alerts = sources.cluster, sources.alerts
    manifest = await cluster.get(kinds.MODEL_DEPLOYMENT, namespace, name)
    if manifest is None or manifest["metadata"].get("deletionTimestamp"):
        sources.loads.forget(key)
        return None
    deployment = parse(manifest, await alerts.asked(*key))
    record = canary.main_version(deployment.status.history, deployment.status.canary)
    job = await _job(cluster, deployment)
    try:
        service = await service_seen(cluster, deployment, name, record.artifact.sha256 if record else "")
        installed = True
    except KindMissingError:
        service, installed = ServiceSeen(), False
    proof: Proof | None = None
    if record is not None and record.state == VersionState.CANDIDATE and rolled_out(service, record.artifact.sha256):
        proof = await sources.endpoint.prove(service.url, name, record)
    remedied = deployment.spec.remediation is not None
    requests = await requests_about(cluster, key) if requested or remedied else ()
    oversight = await sources.overseer.look(deployment, requests, now)
    load = await sources.loads.look(deployment) if scaling.concerned(deployment, requests, now) else None
    if load is None:
        sources.loads.forget(key)
    return Observed(
        deployment=deployment,
        job=job,
        measurement=await _measurement(cluster, deployment),
        report=await _report(cluster, deployment),
        requests=oversight.requests,
        guard=oversight.guard,
        guard_version=oversight.guard_version,
        switch=oversight.switch,
        ledger=oversight.ledger,
        alerts=await alerts.firing(*key) if remedied else (),
        flooded=await alerts.flooded(*key) if remedied else False,
        service=service,
        serving_installed=installed,
        proof=proof,
        load=load,
        canary=await canary_seen(cluster, sources.endpoint, deployment)
        if installed and canary.concerned(deployment)
        else None,
    )


def parse(manifest: Manifest, asked: str = "") -> Deployment:
    """A ModelDeployment as read; raises UnreadableError naming the first field that does not fit.

    `asked` is another way than the annotation to ask for a measurement; whichever changes is a new request.
    """
    metadata = manifest["metadata"]
    try:
        spec, status = spec_of(manifest), status_of(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UnreadableError(f"{place}: {first['msg']}", manifest) from error
    annotations = metadata.get("annotations") or {}
    return Deployment(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        created=moment(metadata["creationTimestamp"]),
        spec=spec,
        status=status,
        train_requested=annotations.get(TRAIN_REQUESTED, "")[:64],
        measure_requested=f"{annotations.get(MEASURE_REQUESTED, '')[:40]} {asked}".strip(),
    )


async def _job(cluster: Cluster, deployment: Deployment) -> JobSeen | None:
    if training.schedule_problem(deployment.spec.training.schedule):
        return None
    current = deployment.status.training
    if current is None or current.phase != TrainingPhase.RUNNING:
        return None  # about to be created, and its name tells if it was before; or its end stands in status
    return await own_job(cluster, deployment.namespace, current.job, deployment.uid, TRAINER)


async def _measurement(cluster: Cluster, deployment: Deployment) -> JobSeen | None:
    current = deployment.status.measurement
    if current is None or current.phase != MeasurementPhase.RUNNING:
        return None
    return await own_job(cluster, deployment.namespace, current.job, deployment.uid, MONITOR)


async def _report(cluster: Cluster, deployment: Deployment) -> JobSeen | None:
    for report in deployment.status.reports or ():
        if report.phase == ReportPhase.RUNNING and report.job is not None:
            return await own_job(cluster, deployment.namespace, report.job, deployment.uid, REPORTER)
    return None
