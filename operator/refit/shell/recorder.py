"""Kubernetes Events, one object for the same words: a repeat raises its count instead of adding another."""

from __future__ import annotations

import logging
from datetime import datetime

from refit.api import meta
from refit.api.times import stamp
from refit.core.observed import Deployment
from refit.core.plan import Note
from refit.kube.cluster import EVENT, Cluster, ClusterError, ConflictError, Manifest

log = logging.getLogger(__name__)

COMPONENT = "refit-operator"


async def record(cluster: Cluster, deployment: Deployment, note: Note, now: datetime) -> None:
    """Writes the Event. An Event that can not be written is logged; nothing hangs on it."""
    manifest = event(deployment, note, now)
    try:
        await cluster.create(manifest)
    except ConflictError:
        await _repeat(cluster, manifest, now)
    except ClusterError as error:
        log.warning("event not written: %s", error)


async def _repeat(cluster: Cluster, manifest: Manifest, now: datetime) -> None:
    metadata = manifest["metadata"]
    try:
        there = await cluster.get(EVENT, metadata["namespace"], metadata["name"])
        count = (there or {}).get("count", 1) + 1
        change = {"count": count, "lastTimestamp": stamp(now)}
        await cluster.patch(EVENT, metadata["namespace"], metadata["name"], change)
    except ClusterError as error:
        log.warning("event not repeated: %s", error)


def event(deployment: Deployment, note: Note, now: datetime) -> Manifest:
    """The Event as an object; its name is computed from its words."""
    digest = meta.short_hash([deployment.uid, note.reason, note.message])
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{deployment.name}.{digest}", "namespace": deployment.namespace},
        "involvedObject": {
            "apiVersion": meta.API_VERSION,
            "kind": meta.DEPLOYMENT_KIND,
            "name": deployment.name,
            "namespace": deployment.namespace,
            "uid": deployment.uid,
        },
        "reason": note.reason,
        "message": note.message[:1024],
        "type": "Warning" if note.warning else "Normal",
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": stamp(now),
        "lastTimestamp": stamp(now),
        "count": 1,
    }
