"""The rest of the cluster, simulated at the status level: the Job controller, KServe, and a model's endpoint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fake_cluster import FakeCluster
from refit.api import jobs, meta
from refit.api.base import ApiModel
from refit.api.deploymentstatus import VersionRecord
from refit.api.results import encode
from refit.core.guard import GuardState
from refit.core.observed import AlertSeen, Counted, Proof, Traffic
from refit.core.plan import Champion
from refit.kube.cluster import DEPLOYMENT, INFERENCE_GRAPH, INFERENCE_SERVICE, JOB, POD, Manifest

NAMESPACE = "clinic"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def model_deployment(spec: dict[str, Any], name: str = "heart", **metadata: Any) -> Manifest:
    """A ModelDeployment as a user applies it."""
    return {
        "apiVersion": meta.API_VERSION,
        "kind": meta.DEPLOYMENT_KIND,
        "metadata": {"name": name, "namespace": NAMESPACE, **metadata},
        "spec": spec,
    }


def end_job(
    cluster: FakeCluster,
    name: str,
    answer: ApiModel | None,
    *,
    code: int = 0,
    failure: str = "",
    container: str = "trainer",
) -> None:
    """The Job ends, and its pod leaves the answer."""
    found = cluster.objects[JOB, NAMESPACE, name]
    condition = {"type": "Failed", "reason": failure} if failure else {"type": "Complete"}
    found["status"] = {"conditions": [{**condition, "status": "True"}]}
    ended = {"exitCode": code, "finishedAt": "2026-11-21T12:00:00Z"} | ({"message": encode(answer)} if answer else {})
    cluster.put(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-pod",
                "namespace": NAMESPACE,
                "labels": {"batch.kubernetes.io/job-name": name},
                "ownerReferences": [{"uid": found["metadata"]["uid"]}],
            },
            "spec": {"containers": []},
            "status": {"containerStatuses": [{"name": container, "state": {"terminated": ended}}]},
        }
    )


def roll_out(cluster: FakeCluster, name: str = "heart", *, message: str = "") -> None:
    """KServe follows the InferenceService; with a message, its new pod ends with these last words instead."""
    service = cluster.objects[INFERENCE_SERVICE, NAMESPACE, name]
    model = service["spec"]["predictor"]["model"]
    replicas = service["spec"]["predictor"]["minReplicas"]
    predictor = meta.predictor_name(name)
    service["status"] = {"address": {"url": f"http://{predictor}.{NAMESPACE}.svc"}}
    template = {"spec": {"containers": [{"name": "kserve-container", "env": model["env"]}]}}
    old = cluster.objects.get((DEPLOYMENT, NAMESPACE, predictor), {}).get("status", {})
    ready = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)
    stuck = {"replicas": replicas + 1, "updatedReplicas": 1, "availableReplicas": old.get("availableReplicas", 0)}
    cluster.put(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": predictor,
                "namespace": NAMESPACE,
                "ownerReferences": [{"uid": service["metadata"]["uid"]}],
            },
            "spec": {"replicas": replicas, "template": template},
            "status": {"observedGeneration": 1, **(stuck if message else ready)},
        }
    )
    cluster.objects.pop((POD, NAMESPACE, predictor), None)
    if message:
        state = {"terminated": {"exitCode": 1, "message": message}}
        cluster.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": predictor, "namespace": NAMESPACE, "labels": {"app": f"isvc.{predictor}"}},
                "spec": template["spec"],
                "status": {"containerStatuses": [{"name": "kserve-container", "lastState": state}]},
            }
        )


def route(cluster: FakeCluster, name: str = "heart", *, refused: str = "", leaving: int | None = None) -> None:
    """KServe follows the InferenceGraph; its router's pods are ready, or refused. With `leaving`, a pod that gives the
    candidate that many percent is still on its way out."""
    router = meta.router_name(name)
    graph = cluster.objects[INFERENCE_GRAPH, NAMESPACE, router]
    replicas = graph["spec"]["minReplicas"]
    template = _router_pod(router, graph["spec"])
    ready = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), replicas)
    failure = {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": refused}]}
    cluster.put(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": router,
                "namespace": NAMESPACE,
                "ownerReferences": [{"uid": graph["metadata"]["uid"], "controller": True, "kind": "InferenceGraph"}],
            },
            "spec": {"replicas": replicas, "template": template},
            "status": {"observedGeneration": 1, **(failure if refused else ready)},
        }
    )
    for place in ("new", "leaving"):
        cluster.objects.pop((POD, NAMESPACE, f"{router}-{place}"), None)
    pods = {} if refused else {"new": template}
    if leaving is not None:
        pods["leaving"] = _router_pod(router, inference_graph_spec(leaving))
    for place, pod in pods.items():
        metadata = {"name": f"{router}-{place}", "namespace": NAMESPACE, "labels": {"app": f"isvc.{router}"}}
        cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **pod})


def inference_graph_spec(weight: int) -> Manifest:
    """As much of a graph's spec as tells its weights."""
    return {"nodes": {"v1": {"steps": [{"name": "canary", "weight": weight}]}}}


def _router_pod(router: str, spec: Manifest) -> Manifest:
    return {"spec": {"containers": [{"name": router, "args": ["--graph-json", json.dumps(spec)]}]}}


class FakeEndpoint:
    """Serves whatever the predictor's Deployment says, and answers the golden request as told.

    `counted` is what a candidate's pods say of their answers; `pods` what each pod of a predictor counts, by address.
    """

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self.golden = True
        self.counted = Traffic()
        self.pods: dict[str, Counted] = {}

    async def counts(self, address: str) -> Counted | str:
        return self.pods.get(address, "nobody answers there")

    async def traffic(self, addresses: tuple[str, ...]) -> Traffic:  # noqa: ARG002  # the protocol's
        return self.counted

    async def prove(self, url: str, model: str, record: VersionRecord) -> Proof:  # noqa: ARG002  # the protocol's
        names = [meta.predictor_name(name) for name in (model, meta.canary_name(model))]
        [asked] = [name for name in names if url == f"http://{name}.{NAMESPACE}.svc"]
        found = self._cluster.objects[DEPLOYMENT, NAMESPACE, asked]
        [container] = found["spec"]["template"]["spec"]["containers"]
        served = {item["name"]: item["value"] for item in container["env"]}[jobs.ARTIFACT_SHA256]
        return Proof(sha256=served, golden=self.golden)


class FakeRegistry:
    """Remembers where the alias was pointed."""

    def __init__(self) -> None:
        self.champions: list[Champion] = []

    async def set_champion(self, champion: Champion) -> None:
        self.champions.append(champion)


@dataclass
class FakeGuard:
    """A guard that is as it is told to be."""

    problem: str = ""
    version: str = "1"

    async def state(self, now: datetime, fresh: bool = False) -> GuardState:  # noqa: ARG002  # the protocol's
        return GuardState(
            ok=not self.problem, message=self.problem or "the approval guard is in place", version=self.version
        )


@dataclass
class FakeAlerts:
    """Alerts as they were put here."""

    found: list[AlertSeen] = field(default_factory=list)
    measurement: str = ""

    async def firing(self, namespace: str, model: str) -> tuple[AlertSeen, ...]:
        assert (namespace, model) == (NAMESPACE, "heart")
        return tuple(self.found)

    async def flooded(self, namespace: str, model: str) -> bool:
        assert (namespace, model) == (NAMESPACE, "heart")
        return len(self.found) > 30

    async def asked(self, namespace: str, model: str) -> str:
        assert (namespace, model) == (NAMESPACE, "heart")
        return self.measurement
