"""Models and requests as a person's tools read them: parsed, with what an object is known by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from refit.api.conditions import Condition, find
from refit.api.deploymentstatus import ModelDeploymentStatus, VersionRecord, VersionState, status_of
from refit.api.modeldeployment import ModelDeploymentSpec, spec_of
from refit.api.remediationrequest import (
    CLOSED,
    RemediationRequestSpec,
    RemediationRequestStatus,
    RequestPhase,
)

Manifest = dict[str, Any]
T = TypeVar("T")


class UnreadableError(ValueError):
    """An object of the cluster that these types do not fit; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A ModelDeployment."""

    name: str
    namespace: str
    uid: str
    created: str
    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus
    manifest: Manifest

    def condition(self, kind: str) -> Condition | None:
        return find(self.status.conditions, kind)

    def version(self, number: int) -> VersionRecord | None:
        return next((record for record in self.status.history if record.version == number), None)

    @property
    def serving(self) -> VersionRecord | None:
        return next((record for record in self.status.history if record.state == VersionState.SERVING), None)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A RemediationRequest."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    created: str
    spec: RemediationRequestSpec
    status: RemediationRequestStatus
    manifest: Manifest

    @property
    def open(self) -> bool:
        return self.status.phase not in CLOSED

    @property
    def phase(self) -> RequestPhase:
        return self.status.phase or RequestPhase.PENDING

    def about(self, model: Model) -> bool:
        """Whether this is about that very model, not about an earlier one of its name."""
        target = self.spec.target_ref
        return self.namespace == model.namespace and target.name == model.name and target.uid in {None, "", model.uid}


def model_of(manifest: Manifest) -> Model:
    """Raises UnreadableError."""
    metadata = manifest["metadata"]
    return Model(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        created=metadata["creationTimestamp"],
        spec=_read(manifest, spec_of),
        status=_read(manifest, status_of),
        manifest=_shown(manifest),
    )


def request_of(manifest: Manifest) -> Request:
    """Raises UnreadableError."""
    metadata = manifest["metadata"]
    return Request(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        created=metadata["creationTimestamp"],
        spec=_read(manifest, lambda found: RemediationRequestSpec.model_validate(found["spec"])),
        status=_read(manifest, lambda found: RemediationRequestStatus.model_validate(found.get("status") or {})),
        manifest=_shown(manifest),
    )


def _shown(manifest: Manifest) -> Manifest:
    """Without the account of who wrote which field, as kubectl shows it."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
    return {**manifest, "metadata": metadata}


def _read(manifest: Manifest, read: Callable[[Manifest], T]) -> T:
    try:
        return read(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        name = manifest["metadata"]["name"]
        raise UnreadableError(
            f"{manifest['kind']} {name}: {field}: {first['msg']}; the plugin and the cluster may be of different versions"
        ) from None
