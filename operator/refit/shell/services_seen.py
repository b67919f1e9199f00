"""An InferenceService as seen, and how far the Deployment that KServe made of it has got."""

from __future__ import annotations

from typing import Protocol

from refit.api import jobs, meta
from refit.api.deploymentstatus import VersionRecord
from refit.core import inference
from refit.core.observed import Counted, Deployment, Manifest, Proof, RolloutSeen, ServiceSeen, Traffic
from refit.kube import cluster as kinds
from refit.kube.cluster import Cluster
from refit.shell.jobs_seen import last_words, owned_by, waiting_for


class Prover(Protocol):
    """Asks a service what it serves."""

    async def prove(self, url: str, model: str, record: VersionRecord) -> Proof:
        """What the service at `url` serves, held against what the version should be."""

    async def traffic(self, addresses: tuple[str, ...]) -> Traffic:
        """What the pods at these addresses have answered, all together."""

    async def counts(self, address: str) -> Counted | str:
        """What the pod at this address has counted since it started, or why nobody knows."""


async def service_seen(cluster: Cluster, deployment: Deployment, name: str, sha256: str) -> ServiceSeen:
    """The InferenceService of that name, and how far its predictor is with that artifact."""
    namespace, runtime = deployment.namespace, meta.runtime_name(deployment.name)
    manifest = await cluster.get(kinds.INFERENCE_SERVICE, namespace, name)
    if manifest is None:
        return ServiceSeen(runtime=await cluster.get(kinds.SERVING_RUNTIME, namespace, runtime) if sha256 else None)
    if not owned_by(manifest, deployment.uid):
        if manifest["metadata"].get("deletionTimestamp"):
            return ServiceSeen(terminating=True)
        return ServiceSeen(
            foreign=f"an InferenceService {name} exists that belongs to {owner_of(manifest)}; delete it or choose another name"
        )
    status = manifest.get("status") or {}
    return ServiceSeen(
        manifest=manifest,
        runtime=await cluster.get(kinds.SERVING_RUNTIME, namespace, runtime),
        url=((status.get("address") or {}).get("url") or "").rstrip("/"),
        rollout=await _rollout(cluster, namespace, meta.predictor_name(name), sha256),
    )


async def _rollout(cluster: Cluster, namespace: str, name: str, wanted: str) -> RolloutSeen | None:
    manifest = await cluster.get(kinds.DEPLOYMENT, namespace, name)
    if manifest is None:
        return None
    environment = environment_of(manifest["spec"]["template"]["spec"])
    complete = is_complete(manifest) and environment.get(jobs.ARTIFACT_SHA256) == wanted
    message, waiting = "", ""
    if not complete:
        pods = await pods_of(cluster, namespace, name)
        ours = [pod for pod in pods if environment_of(pod["spec"]).get(jobs.ARTIFACT_SHA256) == wanted]
        message, waiting = last_words(ours, inference.CONTAINER), waiting_for(ours, inference.CONTAINER)
    return RolloutSeen(
        artifact_sha256=environment.get(jobs.ARTIFACT_SHA256, ""),
        complete=complete,
        available=(manifest.get("status") or {}).get("availableReplicas", 0),
        restarted_for=environment.get(jobs.RESTARTED_FOR, ""),
        pod_message=message,
        pod_waiting=waiting,
    )


async def pods_of(cluster: Cluster, namespace: str, deployment: str) -> list[Manifest]:
    """The pods of a Deployment that KServe made."""
    return await cluster.list(kinds.POD, namespace, f"app=isvc.{deployment}")


def address_of(pod: Manifest) -> str:
    """Of a predictor's pod itself; empty while it has none."""
    ip = (pod.get("status") or {}).get("podIP", "")
    return f"http://{f'[{ip}]' if ':' in ip else ip}:{inference.PORT}" if ip else ""


def is_complete(deployment: Manifest) -> bool:
    """Whether all pods of a Deployment are there, of its newest template, and there are no others."""
    status = deployment.get("status") or {}
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and deployment["spec"].get("replicas", 1)
        == status.get("replicas", 0)
        == status.get("updatedReplicas", 0)
        == status.get("availableReplicas", 0)
    )


def environment_of(pod_spec: Manifest) -> dict[str, str]:
    """What the predictor's container of a pod is told."""
    for container in pod_spec["containers"]:
        if container["name"] == inference.CONTAINER:
            return {item["name"]: item.get("value", "") for item in container.get("env") or []}
    return {}


def rolled_out(service: ServiceSeen, sha256: str) -> bool:
    """Whether the service can be asked, and should answer with that artifact."""
    rollout = service.rollout
    return bool(service.url) and rollout is not None and rollout.complete and rollout.artifact_sha256 == sha256


def owner_of(manifest: Manifest) -> str:
    """Whose an object is, for people."""
    owners = manifest["metadata"].get("ownerReferences") or []
    return f"{owners[0]['kind']} {owners[0]['name']}" if owners else "somebody else"
