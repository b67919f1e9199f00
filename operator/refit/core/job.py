"""The Job of one training attempt, as a manifest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from refit.api import jobs, meta
from refit.api.deploymentstatus import TrainingStatus
from refit.api.orders import RetrainingOrder
from refit.api.results import EXIT_REFUSED
from refit.core.observed import Config, Deployment, Manifest
from refit.core.pods import (
    collector_environment,
    collector_mounts,
    collector_volumes,
    environment,
    job_template,
    resources,
    surroundings,
)

ROLE = "trainer"
CONTAINER = "trainer"


def training_job(
    deployment: Deployment, training: TrainingStatus, config: Config, retraining: RetrainingOrder | None = None
) -> Manifest:
    """The Job. The pod gets the spec as it now is, no API access, and answers by its termination message.

    A `retraining` follows a version that serves, and must better it.

    An evicted pod is replaced and not counted; a refusal (exit code 3) ends the Job at once, since the
    same data and spec would be refused again; anything else is tried three times.
    """
    labels = meta.child_labels(deployment.name, ROLE)
    spec = deployment.spec.training
    told: dict[str, str] = {}
    if retraining is not None:
        told[jobs.RETRAINING] = json.dumps(retraining.wire(), separators=(",", ":"))
    container = trainer_container(deployment, training.key, told, config)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": training.job,
            "namespace": deployment.namespace,
            "labels": labels,
            "annotations": {f"{meta.GROUP}/training-key": training.key, f"{meta.GROUP}/cause": training.cause},
            "ownerReferences": [deployment.owner()],
        },
        "spec": {
            "backoffLimit": 2,
            "activeDeadlineSeconds": spec.timeout_seconds,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [EXIT_REFUSED]},
                    },
                ]
            },
            "template": job_template(labels, container, trainer_volumes(deployment, told, config)),
        },
    }


def declared(deployment: Deployment) -> Manifest:
    """The ModelDeployment as a Job is told of it, as it is when the Job is made."""
    return {
        "metadata": {
            "name": deployment.name,
            "namespace": deployment.namespace,
            "uid": deployment.uid,
            "generation": deployment.generation,
        },
        "spec": deployment.spec.wire(),
    }


def trainer_container(deployment: Deployment, key: str, told: Mapping[str, str], config: Config) -> Manifest:
    """The trainer's container: the spec, the key of what it works on, and what else it is `told`."""
    secret = deployment.spec.data.source.secret_ref
    mounts = [
        {"name": volume["name"], "mountPath": jobs.DATA_PATH, "readOnly": True} for volume in data_volumes(deployment)
    ]
    return {
        "name": CONTAINER,
        "image": config.trainer_image,
        "env": [
            *environment(
                {
                    jobs.DEPLOYMENT: json.dumps(declared(deployment), separators=(",", ":"), ensure_ascii=False),
                    jobs.TRAINING_KEY: key,
                    jobs.TRACKING_URI: config.tracking_uri,
                    jobs.TERMINATION_LOG: jobs.TERMINATION_LOG_PATH,
                    jobs.DATA_DIR: jobs.DATA_PATH,
                    **(collector_environment(deployment.namespace, config) if told else {}),
                    **told,
                }
            ),
            {
                "name": jobs.CPU_LIMIT,
                "valueFrom": {
                    "resourceFieldRef": {"containerName": CONTAINER, "resource": "limits.cpu", "divisor": "1"}
                },
            },
        ],
        **({"envFrom": [{"secretRef": {"name": secret.name}}]} if secret else {}),
        "resources": resources(deployment.spec.training.resources),
        **surroundings([*mounts, *(collector_mounts(config) if told else ())]),
    }


def trainer_volumes(deployment: Deployment, told: Mapping[str, str], config: Config) -> list[Manifest]:
    """The volumes of that container. Only who is told of logged requests gets a token for the collector."""
    return [*data_volumes(deployment), *(collector_volumes(config) if told else ())]


def data_volumes(deployment: Deployment) -> list[Manifest]:
    """Where a source in the cluster is mounted from."""
    source = urlsplit(deployment.spec.data.source.uri)
    if source.scheme == "pvc":
        return [{"name": "data", "persistentVolumeClaim": {"claimName": source.netloc, "readOnly": True}}]
    if source.scheme == "configmap":
        return [{"name": "data", "configMap": {"name": source.netloc}}]
    return []
