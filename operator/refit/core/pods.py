"""What every pod of Refit's shares: a restricted security context, and the way settings reach it."""

from __future__ import annotations

from collections.abc import Mapping

from refit.api import jobs
from refit.api.base import Resources
from refit.api.events import AUDIENCE
from refit.core.observed import Config, Manifest

USER = 65532


def pod_security() -> Manifest:
    """The pod's half of the Pod Security Standard `restricted`."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """The container's half, with a root file system that cannot be written."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": USER,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


TMP = "/tmp"  # noqa: S108  # the container's own, an emptyDir: it outlives a container that is restarted
TMP_VOLUME: Manifest = {"name": "tmp", "emptyDir": {}}


def surroundings(mounts: list[Manifest]) -> Manifest:
    """What each container of ours has: its security context, its last words, a place to write, and these mounts."""
    return {
        "securityContext": container_security(),
        "terminationMessagePath": jobs.TERMINATION_LOG_PATH,
        "terminationMessagePolicy": "File",
        "volumeMounts": [{"name": TMP_VOLUME["name"], "mountPath": TMP}, *mounts],
    }


def job_template(labels: Mapping[str, str], container: Manifest, volumes: list[Manifest]) -> Manifest:
    """The pod of a Job: it runs once, and has no access to the API server."""
    return {
        "metadata": {"labels": dict(labels)},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": pod_security(),
            "containers": [container],
            "volumes": [TMP_VOLUME, *volumes],
        },
    }


def environment(values: Mapping[str, str]) -> list[Manifest]:
    """Environment variables in a container's form.

    The kubelet replaces $(NAME) in a value, and $$ by $; what a user wrote must arrive as it was written.
    """
    return [{"name": name, "value": value.replace("$", "$$")} for name, value in values.items()]


def resources(wanted: Resources) -> Manifest:
    """Requests and limits in a container's form; what is unset stays out."""
    found = {}
    for kind in ("requests", "limits"):
        amounts = {name: str(amount) for name, amount in getattr(wanted, kind).wire().items()}
        if amounts:
            found[kind] = amounts
    return found


TOKEN_SECONDS = 3600
_TOKEN_VOLUME = "collector-token"  # noqa: S105  # a volume's name


def collector_environment(namespace: str, config: Config) -> dict[str, str]:
    """How a pod reaches the collector; nothing where there is none."""
    if not config.collector_url:
        return {}
    return {
        jobs.COLLECTOR_URL: config.collector_url,
        jobs.COLLECTOR_TOKEN_FILE: f"{jobs.TOKEN_DIR}/{jobs.TOKEN_FILE}",
        jobs.NAMESPACE: namespace,
    }


def collector_volumes(config: Config) -> list[Manifest]:
    """A token that the kubelet renews and that nobody but the collector accepts."""
    if not config.collector_url:
        return []
    token = {"audience": AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": jobs.TOKEN_FILE}
    return [{"name": _TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}]


def collector_mounts(config: Config) -> list[Manifest]:
    """Where that token stands."""
    if not config.collector_url:
        return []
    return [{"name": _TOKEN_VOLUME, "mountPath": jobs.TOKEN_DIR, "readOnly": True}]
