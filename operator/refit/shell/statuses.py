"""Statuses: what is applied to an object's status, onto the version that was read.

The resource version keeps it from landing on an object that changed since it was read, or on a later one of the same
name. (A uid would not: the API server does not look at it where a status is written.)
"""

from __future__ import annotations

from datetime import datetime

from refit.api.conditions import Condition, ConditionStatus
from refit.api.reasons import ConditionType, Reason
from refit.api.times import stamp
from refit.kube.cluster import Kind, Manifest


def status_manifest(kind: Kind, namespace: str, name: str, version: str, status: Manifest) -> Manifest:
    """What to apply to the status of the object as it was at that resource version."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"namespace": namespace, "name": name, "resourceVersion": version},
        "status": status,
    }


def unreadable_status(manifest: Manifest, problem: str, now: datetime) -> Manifest:
    """The status of a ModelDeployment that does not fit our types: what stood there, which may be all that is known
    of the version that serves, and why it is not looked at."""
    status = manifest.get("status") or {}
    generation = manifest["metadata"]["generation"]
    before = {found["type"]: found for found in status.get("conditions") or []}
    before.pop(ConditionType.RECONCILING, None)
    for kind, truth in ((ConditionType.READY, ConditionStatus.FALSE), (ConditionType.STALLED, ConditionStatus.TRUE)):
        found = before.get(kind, {})
        same = found.get("status") == truth
        before[kind] = Condition(
            type=kind,
            status=truth,
            reason=Reason.INVALID_SPEC,
            message=problem[:1024],
            observed_generation=generation,
            last_transition_time=found["lastTransitionTime"] if same else stamp(now),
        ).wire()
    return {**status, "observedGeneration": generation, "conditions": [before[kind] for kind in sorted(before)]}
