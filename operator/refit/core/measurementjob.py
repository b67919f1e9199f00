"""The Job of one measurement, as a manifest."""

from __future__ import annotations

import json

from refit.api import jobs, meta
from refit.api.base import ComputeResources, Resources
from refit.api.deploymentstatus import MeasurementStatus, VersionRecord
from refit.api.monitoring import Monitoring
from refit.api.orders import MeasurementOrder
from refit.core.job import declared
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

ROLE = "monitor"
CONTAINER = "monitor"
DEADLINE_SECONDS = 900
RESOURCES = Resources(
    requests=ComputeResources(cpu="100m", memory="256Mi"), limits=ComputeResources(cpu="1", memory="1536Mi")
)
"""A million rows of twenty columns take less than a gibibyte."""


def measurement_job(
    deployment: Deployment, monitoring: Monitoring, record: VersionRecord, ordered: MeasurementStatus, config: Config
) -> Manifest:
    """The Job. It has no access to the API server; its token is for the collector alone."""
    if record.profile is None:
        raise ValueError(f"version {record.version} has no profile to measure against")
    labels = meta.child_labels(deployment.name, ROLE)
    order = MeasurementOrder(
        key=ordered.key,
        version=ordered.version,
        since=ordered.since,
        until=ordered.until,
        interval_seconds=monitoring.interval_seconds,
        profile_uri=record.profile.uri,
        profile_sha256=record.profile.sha256,
        run_id=record.run_id,
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": ordered.job,
            "namespace": deployment.namespace,
            "labels": labels,
            "ownerReferences": [deployment.owner()],
        },
        "spec": {
            "backoffLimit": 1,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "template": job_template(labels, _container(deployment, order, config), collector_volumes(config)),
        },
    }


def _container(deployment: Deployment, order: MeasurementOrder, config: Config) -> Manifest:
    return {
        "name": CONTAINER,
        "image": config.monitor_image,
        "args": ["refit_monitor", "measure"],
        "env": environment(
            {
                jobs.DEPLOYMENT: json.dumps(declared(deployment), separators=(",", ":"), ensure_ascii=False),
                jobs.MEASUREMENT: json.dumps(order.wire(), separators=(",", ":")),
                jobs.TRACKING_URI: config.tracking_uri,
                jobs.PROMETHEUS_URL: config.prometheus_url,
                jobs.TERMINATION_LOG: jobs.TERMINATION_LOG_PATH,
                **collector_environment(deployment.namespace, config),
            }
        ),
        "resources": resources(RESOURCES),
        **surroundings(collector_mounts(config)),
    }
