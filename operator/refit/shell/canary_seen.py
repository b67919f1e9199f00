"""A canary as seen: the graph, what its router's pods were told, the candidate's own service, and its traffic."""

from __future__ import annotations

import json
from dataclasses import replace

from refit.api import jobs, meta
from refit.api.deploymentstatus import CanaryPhase
from refit.api.times import moment
from refit.core import inference, serving
from refit.core.observed import CanarySeen, Deployment, Manifest, Proof, RouterSeen, Traffic
from refit.core.splitter import weight_of
from refit.kube import cluster as kinds
from refit.kube.cluster import Cluster, KindMissingError
from refit.shell.jobs_seen import last_words, owned_by, waiting_for
from refit.shell.services_seen import (
    Prover,
    address_of,
    environment_of,
    is_complete,
    owner_of,
    pods_of,
    rolled_out,
    service_seen,
)

GRAPH_ARGUMENT = "--graph-json"


async def canary_seen(cluster: Cluster, endpoint: Prover, deployment: Deployment) -> CanarySeen:
    """What there is of a canary of that model."""
    namespace, name = deployment.namespace, meta.router_name(deployment.name)
    try:
        graph = await cluster.get(kinds.INFERENCE_GRAPH, namespace, name)
    except KindMissingError:
        return CanarySeen(installed=False)
    if graph is not None and not owned_by(graph, deployment.uid):
        return CanarySeen(foreign=_taken("InferenceGraph", name, graph))
    router = await cluster.get(kinds.DEPLOYMENT, namespace, name)
    if router is not None and not _made_of(router, graph):
        return CanarySeen(graph=graph, foreign=_taken("Deployment", name, router))
    candidate, status = serving.candidate_of(deployment.status.history), deployment.status.canary
    sha256 = candidate.artifact.sha256 if candidate is not None else ""
    service = await service_seen(cluster, deployment, meta.canary_name(deployment.name), sha256)
    if service.manifest is not None and service.manifest["metadata"].get("deletionTimestamp"):
        service = replace(service, terminating=True)
    proof: Proof | None = None
    traffic: Traffic | None = None
    if candidate is not None and status is not None and status.version == candidate.version:
        if status.phase == CanaryPhase.STARTING and rolled_out(service, sha256):
            proof = await endpoint.prove(service.url, deployment.name, candidate)
        if status.phase == CanaryPhase.SPLITTING:
            traffic = await _traffic(cluster, endpoint, deployment, sha256)
    pods = await pods_of(cluster, namespace, name) if service.manifest is not None or _is_stuck(router) else []
    return CanarySeen(
        graph=graph,
        graph_since=moment(graph["metadata"]["creationTimestamp"]) if graph is not None else None,
        router=_router(router, pods) if router is not None else None,
        reaches=_reaches(graph, router, pods),
        service=service,
        proof=proof,
        traffic=traffic,
    )


def _taken(kind: str, name: str, manifest: Manifest) -> str:
    return f"{kind} {name} exists and belongs to {owner_of(manifest)}; delete it or choose another name for the model"


def _made_of(router: Manifest, graph: Manifest | None) -> bool:
    """Whether KServe made that Deployment of the graph, or of one before it that is gone."""
    owners = router["metadata"].get("ownerReferences") or []
    if graph is not None:
        return owned_by(router, graph["metadata"]["uid"])
    return any(owner.get("kind") == kinds.INFERENCE_GRAPH.kind for owner in owners)


def _is_stuck(router: Manifest | None) -> bool:
    return router is not None and not (router.get("status") or {}).get("availableReplicas", 0)


def _router(router: Manifest, pods: list[Manifest]) -> RouterSeen:
    status = router.get("status") or {}
    failures = [found for found in status.get("conditions") or [] if found["type"] == "ReplicaFailure"]
    return RouterSeen(
        weight=_weight(router["spec"]["template"]),
        complete=is_complete(router),
        available=status.get("availableReplicas", 0),
        refused=next((found.get("message", "") for found in failures if found["status"] == "True"), "")[:512],
        waiting=waiting_for(pods, router["metadata"]["name"]),
    )


def _reaches(graph: Manifest | None, router: Manifest | None, pods: list[Manifest]) -> bool:
    """Whether requests may still go to the candidate: KServe has yet to be heard, or a pod goes on for a while."""
    wanted = weight_of(graph["spec"]) if graph is not None else 0
    templates = [*([router["spec"]["template"]] if router is not None else []), *pods]
    return wanted > 0 or any(_weight(template) > 0 for template in templates)


def _weight(template: Manifest) -> int:
    for container in template["spec"]["containers"]:
        arguments = container.get("args") or []
        if GRAPH_ARGUMENT in arguments[:-1]:
            return weight_of(json.loads(arguments[arguments.index(GRAPH_ARGUMENT) + 1]))
    return 0


async def _traffic(cluster: Cluster, endpoint: Prover, deployment: Deployment, sha256: str) -> Traffic:
    """What the candidate's pods count. One by one, since their Service would give the word of any one of them."""
    name = meta.predictor_name(meta.canary_name(deployment.name))
    pods = [
        pod
        for pod in await pods_of(cluster, deployment.namespace, name)
        if environment_of(pod["spec"]).get(jobs.ARTIFACT_SHA256) == sha256
    ]
    addresses = [address_of(pod) for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    found = await endpoint.traffic(tuple(address for address in addresses if address))
    restarted = any(
        status["restartCount"] > 0
        for pod in pods
        for status in (pod.get("status") or {}).get("containerStatuses") or []
        if status["name"] == inference.CONTAINER
    )
    return replace(found, restarted=(last_words(pods, inference.CONTAINER) or "it said nothing") if restarted else "")
