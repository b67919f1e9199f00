"""The InferenceGraph that shares requests out between what serves and a candidate.

KServe's router asks a step's whole URL, whatever path it was asked by. So the body tells the protocol, V2's tensors or
anything else, and each protocol has a splitter of its own. Both steps are always there, the candidate's with a weight
of 0 while there is none: only numbers change, and the router never asks a step of weight 0.
"""

from __future__ import annotations

from refit.api import meta
from refit.core.observed import Deployment, Manifest

ROLE = "router"
CANARY_STEP = "canary"
V2_BODY, ANY_BODY = "inputs.0", "@this"
"""Paths of gjson: a list under `inputs`, which V1 has no use for; and whatever JSON there is, for V1 to refuse."""

RESOURCES = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}}
MOST_ROUTERS = 2


def inference_graph(deployment: Deployment, url: str, weight: int) -> Manifest:
    """The graph in front of the service at `url`, of which the candidate's gets `weight` percent."""
    replicas = min(deployment.spec.serving.min_replicas, MOST_ROUTERS)
    v1, v2 = f"/v1/models/{deployment.name}:predict", f"/v2/models/{deployment.name}/infer"
    root = [{"name": "v2", "nodeName": "v2", "condition": V2_BODY}]
    root.append({"name": "v1", "nodeName": "v1", "condition": ANY_BODY})
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "InferenceGraph",
        "metadata": {
            "name": meta.router_name(deployment.name),
            "namespace": deployment.namespace,
            "labels": meta.child_labels(deployment.name, ROLE),
            "annotations": {
                "serving.kserve.io/deploymentMode": "Standard",
                "serving.kserve.io/autoscalerClass": "none",
            },
            "ownerReferences": [deployment.owner()],
        },
        "spec": {
            "minReplicas": replicas,
            "maxReplicas": replicas,
            "resources": RESOURCES,
            "nodes": {
                "root": {"routerType": "Switch", "steps": root},
                "v1": {"routerType": "Splitter", "steps": _steps(deployment, url, v1, weight)},
                "v2": {"routerType": "Splitter", "steps": _steps(deployment, url, v2, weight)},
            },
        },
    }


def _steps(deployment: Deployment, url: str, path: str, weight: int) -> list[Manifest]:
    candidate = beside(url, deployment.name, meta.predictor_name(meta.canary_name(deployment.name)))
    return [
        {"name": "main", "serviceUrl": url + path, "weight": 100 - weight},
        {"name": CANARY_STEP, "serviceUrl": candidate + path, "weight": weight},
    ]


def beside(url: str, deployment: str, service: str) -> str:
    """The address of another Service in the namespace of a model's predictor, whatever the cluster's domain."""
    return url.replace(f"://{meta.predictor_name(deployment)}.", f"://{service}.", 1)


def weight_of(spec: Manifest) -> int:
    """Percent of the requests that a graph's spec gives the candidate."""
    nodes = (spec.get("nodes") or {}).values()
    steps = [step for node in nodes for step in node.get("steps") or []]
    return max((int(step.get("weight") or 0) for step in steps if step.get("name") == CANARY_STEP), default=0)
