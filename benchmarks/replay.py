"""The writes of a ModelDeployment's life by a plain client, nobody reading or watching: what no operator can do without.

Taken from what stands in the namespace of the benchmark when it is done, one model after the other, each kind of
writer for itself, so that it is known whose writes cost what.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "cluster")]

from scale_world import DEPLOYMENTS, OURS, REPLAYED, SIMULATOR, World, cpu_of  # noqa: E402  # beside this script, as are its kin

from refit_cluster.client import Client  # noqa: E402

Manifest = dict[str, Any]
Act = Callable[[str], object]

DECLARED, OPERATORS, CLUSTERS = "who declares it", "the operator", "the Job controller, the kubelet and KServe"
PATHS = {
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Event": "/api/v1/namespaces/{}/events",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "InferenceService": "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices",
    "ServingRuntime": "/apis/serving.kserve.io/v1alpha1/namespaces/{}/servingruntimes",
    "ModelDeployment": DEPLOYMENTS,
}
SETTLE = 0.5
"""Seconds for what the API server does after it has answered."""


def replay(world: World, objects: int) -> dict[str, float]:
    """Seconds of CPU of API server and etcd, by who writes."""
    world.leave_alone()
    found = dict.fromkeys((DECLARED, OPERATORS, CLUSTERS), 0.0)
    with Client(world.kubeconfig(SIMULATOR)) as client:
        for who, act in _life(client):
            before = _used(world)
            for number in range(objects):
                act(f"m{number:04d}")
            time.sleep(SETTLE)
            found[who] += _used(world) - before
    return found


def _used(world: World) -> float:
    return cpu_of(world.pids["API server"]) + cpu_of(world.pids["etcd"])


def _life(client: Client) -> list[tuple[str, Act]]:
    """Every write, in its order, with who makes it."""

    def any_of(kind: str) -> Manifest:
        listed = client.get(PATHS[kind].format(OURS), limit="1").accepted()
        return {"apiVersion": listed["apiVersion"], "kind": kind, **listed["items"][0]}

    def bare(manifest: Manifest, name: str) -> Manifest:
        """As it was written: without what the API server and other writers add."""
        found = {key: copy.deepcopy(value) for key, value in manifest.items() if key not in ("metadata", "status")}
        labels = manifest["metadata"].get("labels") or {}
        found["metadata"] = {"name": name, "namespace": REPLAYED, "labels": labels}
        if manifest["kind"] == "Job":  # the API server's own labels and selector hold the uid of the other Job
            found["spec"].pop("selector", None)
            found["metadata"]["labels"] = found["spec"]["template"]["metadata"]["labels"] = {}
        if manifest["kind"] == "Event":
            found["involvedObject"]["namespace"] = REPLAYED
        return found

    def creates(manifest: Manifest, suffix: str = "") -> Act:
        path = PATHS[manifest["kind"]].format(REPLAYED)
        return lambda name: client.create(path, bare(manifest, name + suffix)).accepted()

    def applies(manifest: Manifest) -> Act:
        path = PATHS[manifest["kind"]].format(REPLAYED)
        return lambda name: client.apply(f"{path}/{name}", bare(manifest, name), "refit").accepted()

    def reports(manifest: Manifest, status: Manifest) -> Act:
        path = PATHS[manifest["kind"]].format(REPLAYED)
        return lambda name: client.merge(f"{path}/{name}/status", {"status": status}).accepted()

    def tells(*parts: str) -> Act:
        """The operator's status, as far as it is known at that time."""
        status = {part: model["status"][part] for part in parts if part in model["status"]}
        path, head = DEPLOYMENTS.format(REPLAYED), {"apiVersion": model["apiVersion"], "kind": model["kind"]}

        def tell(name: str) -> object:
            body = {**head, "metadata": {"name": name, "namespace": REPLAYED}, "status": status}
            return client.apply(f"{path}/{name}/status", body, "refit").accepted()

        return tell

    model, job, pod, event = (any_of(kind) for kind in ("ModelDeployment", "Job", "Pod", "Event"))
    runtime, service = any_of("ServingRuntime"), any_of("InferenceService")
    deployment = any_of("Deployment")
    begun = {"active": 1, "ready": 1, "startTime": job["status"]["startTime"]}
    always = ("observedGeneration", "conditions", "training")
    return [
        (DECLARED, creates(model)),
        (OPERATORS, creates(job)),
        (OPERATORS, tells(*always)),
        (OPERATORS, creates(event, ".1")),
        (CLUSTERS, reports(job, begun)),
        (CLUSTERS, creates(pod)),
        (CLUSTERS, reports(pod, pod["status"])),
        (CLUSTERS, reports(job, {**job["status"], "active": 0, "ready": 0})),
        (OPERATORS, applies(runtime)),
        (OPERATORS, applies(service)),
        (OPERATORS, tells(*always, "history")),
        (OPERATORS, creates(event, ".2")),
        (CLUSTERS, creates(deployment)),
        (CLUSTERS, reports(service, service["status"])),
        (CLUSTERS, reports(deployment, deployment["status"])),
        (OPERATORS, tells(*model["status"])),
        (OPERATORS, creates(event, ".3")),
    ]
