"""Loads: what the pods of a model counted from one moment to another.

The first reading is kept in memory. Whoever starts anew reads it again, which costs ten seconds and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from refit.api import meta
from refit.core.observed import Counted, Deployment, Load, Manifest
from refit.kube.cluster import Cluster
from refit.shell.requests import Key
from refit.shell.services_seen import Prover, address_of, pods_of


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What each pod, by uid, had counted at a moment."""

    time: datetime
    pods: dict[str, Counted]


class Loads:
    """Reads what pods count, and keeps the first reading of each model for which somebody waits."""

    def __init__(self, cluster: Cluster, endpoint: Prover, clock: Callable[[], datetime]) -> None:
        self._cluster, self._endpoint, self._clock = cluster, endpoint, clock
        self._first: dict[Key, Reading] = {}

    async def look(self, deployment: Deployment) -> Load:
        """What was counted since the first reading; nothing if this is the first of these very pods."""
        key = (deployment.namespace, deployment.name)
        found = await pods_of(self._cluster, deployment.namespace, meta.predictor_name(deployment.name))
        pods = {pod["metadata"]["uid"]: address_of(pod) for pod in found if _is_ready(pod)}
        told = await asyncio.gather(*map(self._endpoint.counts, pods.values()))
        now = Reading(time=self._clock(), pods={})
        for uid, counted in zip(pods, told, strict=True):
            if isinstance(counted, str):
                return Load(since=now.time, until=now.time, problem=counted)
            now.pods[uid] = counted
        before = self._first.get(key, now)
        since = _since(before, now)
        if since is None:
            before, since = now, ()
        self._first[key] = before
        problem = "" if pods else "no pod of it is ready"
        return Load(since=before.time, until=now.time, pods=since, problem=problem)

    def forget(self, key: Key) -> None:
        """Nobody waits any more."""
        self._first.pop(key, None)


def _since(before: Reading, now: Reading) -> tuple[Counted, ...] | None:
    """What each pod counted since then; None if they are not the same pods."""
    if before.pods.keys() != now.pods.keys():
        return None
    found = tuple(counted.since(before.pods[uid]) for uid, counted in now.pods.items())
    return tuple(one for one in found if one is not None) if None not in found else None


def _is_ready(pod: Manifest) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)
    return ready and bool(address_of(pod)) and not pod["metadata"].get("deletionTimestamp")
