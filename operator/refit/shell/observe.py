"""Observe: everything that bears on one ModelDeployment, read in one pass and parsed.

Objects are read fresh, by name. A cache would be cheaper and sometimes wrong; what is decided here
creates Jobs and moves traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pydantic import ValidationError

from refit.api import jobs, meta
from refit.api.deploymentstatus import MeasurementPhase, TrainingPhase, VersionRecord, VersionState, status_of
from refit.api.modeldeployment import spec_of
from refit.api.times import moment
from refit.core import inference, serving, training
from refit.core.job import CONTAINER as TRAINER
from refit.core.measurementjob import CONTAINER as MONITOR
from refit.core.observed import (
    AlertSeen,
    Deployment,
    JobSeen,
    Manifest,
    Observed,
    Proof,
    RolloutSeen,
    ServiceSeen,
)
from refit.kube import cluster as kinds
from refit.kube.cluster import Cluster, KindMissingError
from refit.shell.jobs_seen import last_words, own_job, owned_by, waiting_for
from refit.shell.oversight import Overseer
from refit.shell.requests import Key, requests_about

TRAIN_REQUESTED = f"{meta.GROUP}/train-requested-at"
"""Annotation by which an owner asks for another training; any new value is a new request."""
MEASURE_REQUESTED = f"{meta.GROUP}/measure-requested-at"
"""Annotation by which anybody who may write it asks for a measurement now; any new value is a new request."""


class Prover(Protocol):
    """Asks a service what it serves."""

    async def prove(self, url: str, model: str, record: VersionRecord) -> Proof:
        """What the service at `url` serves, held against what the version should be."""


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


async def observe(sources: Sources, key: Key, now: datetime, *, requested: bool) -> Observed | None:
    """What stands in the cluster for that key; None if the ModelDeployment is gone or going.

    `requested` says whether there are RemediationRequests about it that the operator did not make.
    """
    namespace, name = key
    cluster, alerts = sources.cluster, sources.alerts
    manifest = await cluster.get(kinds.MODEL_DEPLOYMENT, namespace, name)
    if manifest is None or manifest["metadata"].get("deletionTimestamp"):
        return None
    deployment = parse(manifest, await alerts.asked(*key))
    record = serving.desired(deployment.status.history)
    job = await _job(cluster, deployment, now)
    try:
        service = await _service(cluster, deployment, record.artifact.sha256 if record else "")
        installed = True
    except KindMissingError:
        service, installed = ServiceSeen(), False
    proof: Proof | None = None
    if record is not None and record.state == VersionState.CANDIDATE and _rolled_out(service, record.artifact.sha256):
        proof = await sources.endpoint.prove(service.url, name, record)
    remedied = deployment.spec.remediation is not None
    requests = await requests_about(cluster, key) if requested or remedied else ()
    oversight = await sources.overseer.look(deployment, requests, now)
    return Observed(
        deployment=deployment,
        job=job,
        measurement=await _measurement(cluster, deployment),
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


async def _job(cluster: Cluster, deployment: Deployment, now: datetime) -> JobSeen | None:
    if training.schedule_problem(deployment.spec.training.schedule):
        return None
    want = training.wanted(deployment, now)
    current = deployment.status.training
    if current is None or current.key != want.key:
        return None  # about to be created; its name tells if it was before
    if current.phase != TrainingPhase.RUNNING:
        return None  # its end stands in status; the Job may be gone
    return await own_job(cluster, deployment.namespace, current.job, deployment.uid, TRAINER)


async def _measurement(cluster: Cluster, deployment: Deployment) -> JobSeen | None:
    current = deployment.status.measurement
    if current is None or current.phase != MeasurementPhase.RUNNING:
        return None
    return await own_job(cluster, deployment.namespace, current.job, deployment.uid, MONITOR)


async def _service(cluster: Cluster, deployment: Deployment, sha256: str) -> ServiceSeen:
    namespace, name = deployment.namespace, deployment.name
    manifest = await cluster.get(kinds.INFERENCE_SERVICE, namespace, name)
    if manifest is None:
        runtime = await cluster.get(kinds.SERVING_RUNTIME, namespace, meta.runtime_name(name)) if sha256 else None
        return ServiceSeen(runtime=runtime)
    if not owned_by(manifest, deployment.uid):
        if manifest["metadata"].get("deletionTimestamp"):
            return ServiceSeen(terminating=True)
        return ServiceSeen(
            foreign=f"an InferenceService {name} exists that belongs to {_owner(manifest)}; delete it or choose another name"
        )
    runtime = await cluster.get(kinds.SERVING_RUNTIME, namespace, meta.runtime_name(name))
    status = manifest.get("status") or {}
    return ServiceSeen(
        manifest=manifest,
        runtime=runtime,
        url=((status.get("address") or {}).get("url") or "").rstrip("/"),
        rollout=await _rollout(cluster, deployment, sha256),
    )


async def _rollout(cluster: Cluster, deployment: Deployment, wanted: str) -> RolloutSeen | None:
    name = meta.predictor_name(deployment.name)
    manifest = await cluster.get(kinds.DEPLOYMENT, deployment.namespace, name)
    if manifest is None:
        return None
    environment = _environment(manifest["spec"]["template"]["spec"])
    status = manifest.get("status") or {}
    replicas = manifest["spec"].get("replicas", 1)
    complete = (
        status.get("observedGeneration", 0) >= manifest["metadata"]["generation"]
        and replicas
        == status.get("replicas", 0)
        == status.get("updatedReplicas", 0)
        == status.get("availableReplicas", 0)
        and environment.get(jobs.ARTIFACT_SHA256) == wanted
    )
    message, waiting = "", ""
    if not complete:
        pods = await cluster.list(kinds.POD, deployment.namespace, f"app=isvc.{name}")
        ours = [pod for pod in pods if _environment(pod["spec"]).get(jobs.ARTIFACT_SHA256) == wanted]
        message, waiting = last_words(ours, inference.CONTAINER), waiting_for(ours, inference.CONTAINER)
    return RolloutSeen(
        artifact_sha256=environment.get(jobs.ARTIFACT_SHA256, ""),
        complete=complete,
        available=status.get("availableReplicas", 0),
        restarted_for=environment.get(jobs.RESTARTED_FOR, ""),
        pod_message=message,
        pod_waiting=waiting,
    )


def _environment(pod_spec: Manifest) -> dict[str, str]:
    for container in pod_spec["containers"]:
        if container["name"] == inference.CONTAINER:
            return {item["name"]: item.get("value", "") for item in container.get("env") or []}
    return {}


def _rolled_out(service: ServiceSeen, sha256: str) -> bool:
    rollout = service.rollout
    return bool(service.url) and rollout is not None and rollout.complete and rollout.artifact_sha256 == sha256


def _owner(manifest: Manifest) -> str:
    owners = manifest["metadata"].get("ownerReferences") or []
    return f"{owners[0]['kind']} {owners[0]['name']}" if owners else "somebody else"
