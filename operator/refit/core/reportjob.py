"""The Job of one report, as a manifest, and its order made to fit an environment variable."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from refit.api import jobs, meta
from refit.api.base import ApiModel, ComputeResources, Resources
from refit.api.orders import ReportedRequest, ReportOrder
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

ROLE = "report"
CONTAINER = "report"
DEADLINE_SECONDS = 300
RESOURCES = Resources(
    requests=ComputeResources(cpu="100m", memory="128Mi"), limits=ComputeResources(cpu="1", memory="512Mi")
)
ORDER_LIMIT = 120_000
"""Bytes of an order. Linux takes no environment variable of more than 128 KiB, its name included."""


def report_job(deployment: Deployment, name: str, order: ReportOrder, config: Config) -> Manifest:
    """The Job. It has no access to the API server; it reads one measurement and writes two files."""
    labels = meta.child_labels(deployment.name, ROLE)
    container = {
        "name": CONTAINER,
        "image": config.report_image,
        "args": ["refit.report"],
        "env": environment(
            {
                jobs.REPORT: _text(fitting(order)),
                jobs.TRACKING_URI: config.tracking_uri,
                jobs.TERMINATION_LOG: jobs.TERMINATION_LOG_PATH,
                **collector_environment(deployment.namespace, config),
            }
        ),
        "resources": resources(RESOURCES),
        **surroundings(collector_mounts(config)),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": deployment.namespace,
            "labels": labels,
            "ownerReferences": [deployment.owner()],
        },
        "spec": {
            "backoffLimit": 0,  # tried again by the operator, later
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "template": job_template(labels, container, collector_volumes(config)),
        },
    }


def fitting(order: ReportOrder) -> ReportOrder:
    """The order with less and less in it until it fits; what was left out, it says."""
    for told, shorter in STEPS:
        if len(_text(order).encode()) <= ORDER_LIMIT:
            break
        order = shorter(order).model_copy(update={"omitted": (*order.omitted, told)})
    return order


def _text(order: ReportOrder) -> str:
    return json.dumps(order.wire(), separators=(",", ":"), ensure_ascii=False)


def _shown(request: ReportedRequest | None, **changes: Callable[[Any], Any]) -> ReportedRequest | None:
    """The request with some fields of its status changed."""
    if request is None:
        return None
    update = {name: change(getattr(request.status, name)) for name, change in changes.items()}
    return request.model_copy(update={"status": request.status.model_copy(update=update)})


def _older_versions(order: ReportOrder) -> ReportOrder:
    kept = [record.model_copy(update={"message": ""}) for record in order.versions[-6:]]
    return order.model_copy(update={"versions": tuple(kept)})


def _groups(order: ReportOrder) -> ReportOrder:
    def ungrouped(entries: Mapping[str, ApiModel] | None) -> Any:
        return entries and {user: entry.model_copy(update={"groups": None}) for user, entry in entries.items()}

    return order.model_copy(update={"request": _shown(order.request, approvals=ungrouped)})


def _lists(order: ReportOrder) -> ReportOrder:
    """Alerts, changes and conditions but for a few; of what an alert is, its name stays in the reasoning."""
    request = order.request
    if request is None:
        return order
    trigger = request.spec.trigger
    spec = request.spec.model_copy(update={"trigger": trigger.model_copy(update={"alerts": trigger.alerts[:4]})})

    def few(proposal: ApiModel | None) -> Any:
        return proposal and proposal.model_copy(update={"change": getattr(proposal, "change", ())[:5]})

    shown = _shown(request, alerts=lambda found: found[:4], proposal=few, conditions=lambda found: found[:4])
    return order.model_copy(update={"request": shown and shown.model_copy(update={"spec": spec})})


def _prose(order: ReportOrder) -> ReportOrder:
    def short(entries: Mapping[str, ApiModel] | None) -> Any:
        cut = {user: (getattr(entry, "reason", None) or "")[:160] for user, entry in (entries or {}).items()}
        return entries and {
            user: entry.model_copy(update={"reason": cut[user] or None}) for user, entry in entries.items()
        }

    serving = tuple(record for record in order.versions if record.version == order.serving)
    update = {"versions": serving, "measurement": None, "request": _shown(order.request, approvals=short)}
    return order.model_copy(update=update)


STEPS: tuple[tuple[str, Callable[[ReportOrder], ReportOrder]], ...] = (
    ("versions before the newest six", _older_versions),
    ("groups of those who decided", _groups),
    ("alerts after the fourth and changes after the fifth", _lists),
    ("all versions but the one that serves, the measurement, and what exceeds 160 characters of a reason", _prose),
)
"""What is given up, least missed first."""
