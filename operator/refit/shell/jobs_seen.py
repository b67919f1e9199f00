"""Jobs and pods as seen: how a Job stands, and the words its pods leave behind."""

from __future__ import annotations

from typing import Any

from refit.core.observed import JobSeen, JobState, Manifest
from refit.kube import cluster as kinds
from refit.kube.cluster import Cluster


async def own_job(cluster: Cluster, namespace: str, name: str, owner: str, container: str) -> JobSeen | None:
    """The Job of that name, if the object of that uid owns it; None if there is none."""
    manifest = await cluster.get(kinds.JOB, namespace, name)
    if manifest is None or not owned_by(manifest, owner):
        return None
    return await job_seen(cluster, manifest, container)


async def job_seen(cluster: Cluster, manifest: Manifest, container: str) -> JobSeen:
    """The Job as it stands, and what its container said last."""
    status = manifest.get("status") or {}
    true = {found["type"]: found for found in status.get("conditions") or [] if found["status"] == "True"}
    name = manifest["metadata"]["name"]
    if "Complete" not in true and "Failed" not in true:
        waiting = "" if status.get("ready") else waiting_for(await _pods_of_job(cluster, manifest), container)
        return JobSeen(name=name, state=JobState.ACTIVE, waiting=waiting)
    ended = _last_termination(await _pods_of_job(cluster, manifest), container)
    return JobSeen(
        name=name,
        state=JobState.SUCCEEDED if "Complete" in true else JobState.FAILED,
        failure=true.get("Failed", {}).get("reason", ""),
        message=ended.get("message") or None,
        exit_code=ended.get("exitCode"),
    )


async def _pods_of_job(cluster: Cluster, job: Manifest) -> list[Manifest]:
    selector = f"batch.kubernetes.io/job-name={job['metadata']['name']}"
    return await cluster.list(kinds.POD, job["metadata"]["namespace"], selector)


def _last_termination(pods: list[Manifest], container: str) -> dict[str, Any]:
    ended = [
        status["state"]["terminated"]
        for pod in pods
        for status in (pod.get("status") or {}).get("containerStatuses") or []
        if status["name"] == container and "terminated" in (status.get("state") or {})
    ]
    return max(ended, key=lambda state: state.get("finishedAt") or "", default={})


def last_words(pods: list[Manifest], container: str) -> str:
    """What a container that ended said why."""
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or []:
            for state in (status.get("state") or {}, status.get("lastState") or {}):
                message = (state.get("terminated") or {}).get("message", "")
                if status["name"] == container and message:
                    return str(message).strip()[:512]
    return ""


def waiting_for(pods: list[Manifest], container: str) -> str:
    """Why a pod does not get to run, in Kubernetes' own words."""
    for pod in pods:
        status = pod.get("status") or {}
        for found in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            waiting = (found.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
                return f"{found['name']}: {waiting['reason']} {waiting.get('message', '')}".strip()[:256]
        for condition in status.get("conditions") or []:
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"{container}: {condition.get('reason')} {condition.get('message', '')}".strip()[:256]
    return ""


def owned_by(manifest: Manifest, uid: str) -> bool:
    """True if the object's controller is the object of that uid."""
    owners = manifest["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == uid and owner.get("controller") for owner in owners)
