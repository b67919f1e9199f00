"""Names: group, version, labels, and the names of children.

A child's name is computed from what caused it, so that doing a thing twice is doing it once.
Every name fits the 63 characters of a DNS label.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

GROUP = "refit.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
DEPLOYMENT_KIND = "ModelDeployment"
DEPLOYMENTS = "modeldeployments"
REQUEST_KIND = "RemediationRequest"
REQUESTS = "remediationrequests"
FIELD_MANAGER = "refit"

FREEZE = "refit-freeze"
"""ConfigMap that stops the line: in the operator's namespace for all models, in another for those in it."""
AUDIT_CHECKPOINT = "refit-audit-checkpoint"
"""ConfigMap in the operator's namespace: how far the audit went, signed."""
GUARD_CANARY = "refit-guard"
"""RemediationRequest on which the operator tries its guard; nothing is ever done about it."""

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_DEPLOYMENT = f"{GROUP}/deployment"
LABEL_ROLE = f"{GROUP}/role"
MANAGED_BY = "refit"


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def short_hash(value: Any, length: int = 10) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of the value's canonical JSON."""
    return sha256(value)[:length]


def sha256(value: Any) -> str:
    """The SHA-256 of the value's canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def child_labels(deployment: str, role: str) -> dict[str, str]:
    """The labels of every object that belongs to a ModelDeployment."""
    return {LABEL_MANAGED_BY: MANAGED_BY, LABEL_DEPLOYMENT: deployment, LABEL_ROLE: role}


def training_job_name(deployment: str, key: str, attempt: int) -> str:
    """Name of the Job of one attempt at one training key; at most 40 + 7 + 10 + 3 characters."""
    return f"{deployment}-train-{key}-{attempt}"


def measurement_job_name(deployment: str, key: str) -> str:
    """Name of the Job of one measurement; at most 40 + 9 + 10 characters."""
    return f"{deployment}-measure-{key}"


def impact_job_name(deployment: str, request_uid: str) -> str:
    """Name of the Job that estimates what a request would bring; at most 40 + 8 + 8 characters."""
    return f"{deployment}-impact-{short_hash(request_uid, 8)}"


def report_job_name(deployment: str, key: str, attempt: int) -> str:
    """Name of the Job of one attempt at a report; at most 40 + 8 + 10 + 3 characters."""
    return f"{deployment}-report-{key}-{attempt}"


def request_name(deployment: str, action: str, digest: str) -> str:
    """Name of a RemediationRequest that the operator makes; at most 40 + 14 + 8 characters."""
    return f"{deployment}-{action.lower()}-{digest}"


def runtime_name(deployment: str) -> str:
    """Name of the ServingRuntime that a ModelDeployment's predictor runs in."""
    return f"{deployment}-refit"


def predictor_name(deployment: str) -> str:
    """Name that KServe gives the Deployment and the Service of an InferenceService's predictor."""
    return f"{deployment}-predictor"


def canary_name(deployment: str) -> str:
    """Name of the InferenceService of a version that gets a share of the requests; at most 40 + 7 characters."""
    return f"{deployment}-canary"


def router_name(deployment: str) -> str:
    """Name of the InferenceGraph that shares requests out, and of its Deployment and Service.

    KServe writes to whatever Deployment and Service have that name, so it is none that somebody's application has.
    """
    return f"{deployment}-router"


def registered_model(namespace: str, deployment: str) -> str:
    """Name of a ModelDeployment's registered model in MLflow."""
    return f"{namespace}.{deployment}"
