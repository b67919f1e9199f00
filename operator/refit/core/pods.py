"""What every pod of Refit's shares: a restricted security context, and the way settings reach it."""

from __future__ import annotations

from collections.abc import Mapping

from refit.api.base import Resources
from refit.core.observed import Manifest

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
