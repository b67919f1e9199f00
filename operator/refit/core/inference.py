"""The InferenceService and the ServingRuntime of one version, as manifests.

KServe hands a runtime's container to the predictor's Deployment. All that names the version stands in
the environment of that container, so that what is rolled out can be read back from the Deployment.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from refit.api import jobs, meta
from refit.api.deploymentstatus import Override, VersionRecord
from refit.core.observed import Config, Deployment, Manifest
from refit.core.pods import (
    TMP,
    TMP_VOLUME,
    collector_environment,
    collector_mounts,
    collector_volumes,
    environment,
    pod_security,
    resources,
    surroundings,
)

ROLE = "predictor"
CONTAINER = "kserve-container"
PORT = 8080
DRAIN_SECONDS = 5
"""How long a predictor that is asked to stop keeps answering, while its address leaves every node's tables."""

GRACE_SECONDS = 45
"""For that, KServe's own thirty seconds for requests in flight, and a few for the last events of the request log."""


def serving_runtime(deployment: Deployment, config: Config) -> Manifest:
    """The namespaced runtime that names our image by digest."""
    model_ready = {"httpGet": {"path": f"/v2/models/{deployment.name}/ready", "port": PORT}}
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": {
            "name": meta.runtime_name(deployment.name),
            "namespace": deployment.namespace,
            "labels": meta.child_labels(deployment.name, ROLE),
            "ownerReferences": [deployment.owner()],
        },
        "spec": {
            "supportedModelFormats": [{"name": "onnx", "version": "1"}],
            "protocolVersions": ["v1", "v2"],
            "multiModel": False,
            "containers": [
                {
                    "name": CONTAINER,
                    "image": config.predictor_image,
                    "ports": [{"containerPort": PORT, "protocol": "TCP"}],
                    "readinessProbe": {**model_ready, "periodSeconds": 1, "failureThreshold": 3},
                    "startupProbe": {**model_ready, "periodSeconds": 1, "failureThreshold": 120},
                    "livenessProbe": {
                        "httpGet": {"path": "/v2/health/live", "port": PORT},
                        "periodSeconds": 10,
                        # A node that is busy for a second is no reason to end who answers.
                        "timeoutSeconds": 5,
                        "failureThreshold": 3,
                    },
                    "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
                    **surroundings(collector_mounts(config)),
                }
            ],
            "volumes": [TMP_VOLUME, *collector_volumes(config)],
        },
    }


@dataclass(frozen=True, kw_only=True)
class _Size:
    """The name of an InferenceService, and how many pods it has."""

    name: str
    least: int
    most: int


def inference_service(deployment: Deployment, record: VersionRecord, config: Config) -> Manifest:
    """The InferenceService that serves the version: a new pod is ready before an old one goes."""
    size = _Size(name=deployment.name, least=_least(deployment), most=deployment.spec.serving.max_replicas)
    return _service(deployment, record, size, config)


def canary_service(deployment: Deployment, record: VersionRecord, percent: int, config: Config) -> Manifest:
    """The InferenceService of a version that gets that share of the requests, with that share of the pods."""
    pods = max(1, math.ceil(_least(deployment) * percent / 100))
    return _service(deployment, record, _Size(name=meta.canary_name(deployment.name), least=pods, most=pods), config)


def _least(deployment: Deployment) -> int:
    serving, override = deployment.spec.serving, deployment.status.override or Override()
    # An override holds as long as the spec says what it said when the override was made.
    replicas = override.replicas if override.instead_of == serving.min_replicas else None
    return replicas if replicas is not None else serving.min_replicas


def _service(deployment: Deployment, record: VersionRecord, size: _Size, config: Config) -> Manifest:
    serving, override = deployment.spec.serving, deployment.status.override or Override()
    scales = size.most > size.least
    restart = {jobs.RESTARTED_FOR: override.restart_request} if override.restart_request else {}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": size.name,
            "namespace": deployment.namespace,
            "labels": meta.child_labels(deployment.name, ROLE),
            "annotations": {
                "serving.kserve.io/deploymentMode": "Standard",
                "serving.kserve.io/autoscalerClass": "hpa" if scales else "none",
            },
            "ownerReferences": [deployment.owner()],
        },
        "spec": {
            "predictor": {
                "minReplicas": size.least,
                "maxReplicas": size.most,
                **({"scaleMetric": "cpu", "scaleTarget": 80} if scales else {}),
                "automountServiceAccountToken": False,
                "securityContext": pod_security(),
                "terminationGracePeriodSeconds": GRACE_SECONDS,
                "deploymentStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
                },
                "model": {
                    "modelFormat": {"name": "onnx", "version": "1"},
                    "runtime": meta.runtime_name(deployment.name),
                    "protocolVersion": "v2",
                    "storageUri": record.artifact.uri,
                    "env": environment(
                        {
                            jobs.MODEL_NAME: deployment.name,
                            jobs.MODEL_VERSION: str(record.version),
                            jobs.ARTIFACT_SHA256: record.artifact.sha256,
                            jobs.REQUEST_LOG: json.dumps(serving.request_log.wire(), separators=(",", ":")),
                            jobs.SPILL_DIR: f"{TMP}/request-log",
                            **restart,
                            **collector_environment(deployment.namespace, config),
                        }
                    ),
                    "resources": resources(serving.resources),
                },
            }
        },
    }


def covers(seen: object, wanted: object) -> bool:
    """True if all that is wanted is there. The API server and KServe add fields; they are not ours to compare.

    Lists of objects that have a name or a uid match by it; other lists match by place.
    """
    if isinstance(wanted, dict):
        return isinstance(seen, dict) and all(key in seen and covers(seen[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(seen, list) and len(seen) >= len(wanted) and _list_covers(seen, wanted)
    return seen == wanted


def _list_covers(seen: list[object], wanted: list[object]) -> bool:
    by_name = {_identity(item): item for item in seen if _identity(item)}
    for place, item in enumerate(wanted):
        name = _identity(item)
        other = by_name.get(name) if name else seen[place]
        if other is None or not covers(other, item):
            return False
    return True


def _identity(item: object) -> str:
    if not isinstance(item, dict):
        return ""
    return str(item.get("uid") or item.get("name") or "")
