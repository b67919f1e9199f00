"""Kubernetes Events, one object for the same words: a repeat raises its count instead of adding another."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from refit.api import meta, traces
from refit.api.times import stamp
from refit.core.notes import Note
from refit.kube.cluster import EVENT, Cluster, ClusterError, ConflictError, Manifest

log = logging.getLogger(__name__)

COMPONENT = "refit-operator"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The object an Event is about."""

    kind: str
    namespace: str
    name: str
    uid: str
    trace: str = ""


async def record(cluster: Cluster, subject: Subject, note: Note, now: datetime) -> None:
    """Writes the Event. An Event that can not be written is logged; nothing hangs on it."""
    manifest = event(subject, note, now)
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


def event(subject: Subject, note: Note, now: datetime) -> Manifest:
    """The Event as an object; its name is computed from its words."""
    digest = meta.short_hash([subject.uid, note.reason, note.message])
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{subject.name}.{digest}",
            "namespace": subject.namespace,
            **({"annotations": {traces.ANNOTATION: subject.trace}} if subject.trace else {}),
        },
        "involvedObject": {
            "apiVersion": meta.API_VERSION,
            "kind": subject.kind,
            "name": subject.name,
            "namespace": subject.namespace,
            "uid": subject.uid,
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
