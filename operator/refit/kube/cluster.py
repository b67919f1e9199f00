"""The cluster as the rest of Refit sees it: a handful of verbs on plain objects, and errors by what happens next.

Our error hierarchy:

* ClusterError: the API server said no, or nothing
    * NotFoundError: the object is not there
    * KindMissingError: the API server does not know the kind (its CRD is not installed)
    * ConflictError: another one of that name exists, or it changed meanwhile
    * RefusedError: a person must act (forbidden, invalid); trying again will not help
    * UnreachableError: weather (5xx, 429, network); try again
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind by the parts of its address."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, an object, or its subresource."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part is not None]
        return "/" + "/".join(parts)


MODEL_DEPLOYMENT = Kind("refit.dev", "v1alpha1", "modeldeployments", "ModelDeployment")
REMEDIATION_REQUEST = Kind("refit.dev", "v1alpha1", "remediationrequests", "RemediationRequest")
JOB = Kind("batch", "v1", "jobs", "Job")
POD = Kind("", "v1", "pods", "Pod")
EVENT = Kind("", "v1", "events", "Event")
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
INFERENCE_SERVICE = Kind("serving.kserve.io", "v1beta1", "inferenceservices", "InferenceService")
INFERENCE_GRAPH = Kind("serving.kserve.io", "v1alpha1", "inferencegraphs", "InferenceGraph")
SERVING_RUNTIME = Kind("serving.kserve.io", "v1alpha1", "servingruntimes", "ServingRuntime")
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
POLICY = Kind("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy")
POLICY_BINDING = Kind(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"
)
TOKEN_REVIEW = Kind("authentication.k8s.io", "v1", "tokenreviews", "TokenReview")
ACCESS_REVIEW = Kind("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview")

KINDS = {
    (kind.api_version, kind.kind): kind
    for kind in (
        MODEL_DEPLOYMENT,
        REMEDIATION_REQUEST,
        JOB,
        POD,
        EVENT,
        DEPLOYMENT,
        INFERENCE_SERVICE,
        SERVING_RUNTIME,
        INFERENCE_GRAPH,
        CONFIG_MAP,
        POLICY,
        POLICY_BINDING,
    )
}


def kind_of(manifest: Manifest) -> Kind:
    """The kind of an object; raises KeyError for one that Refit has no business with."""
    return KINDS[manifest["apiVersion"], manifest["kind"]]


class ClusterError(Exception):
    """The API server did not do what was asked."""


class NotFoundError(ClusterError):
    """The object is not there."""


class KindMissingError(NotFoundError):
    """The API server does not know the kind: its CRD is not installed."""


class ConflictError(ClusterError):
    """Another object of that name exists, or this one changed meanwhile."""


class RefusedError(ClusterError):
    """Forbidden or invalid: a person must act."""


class UnreachableError(ClusterError):
    """No answer, or one that asks to come again."""


class Cluster(Protocol):
    """What Refit asks of an API server."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """The object, or None if it is not there; raises KindMissingError. Some kinds have no namespace."""

    async def list(self, kind: Kind, namespace: str | None, selector: str = "") -> list[Manifest]:
        """The objects that carry the labels; raises KindMissingError."""

    async def create(self, manifest: Manifest) -> Manifest:
        """Creates the object; raises ConflictError if one of that name exists."""

    async def apply(self, manifest: Manifest) -> Manifest:
        """Server-side apply of just our fields."""

    async def apply_status(self, manifest: Manifest) -> Manifest:
        """Server-side apply of the status subresource."""

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Manifest) -> Manifest:
        """Merge patch of an object."""

    async def rehearse_status(self, kind: Kind, namespace: str, name: str, patch: Manifest) -> None:
        """Merge patch of an object's status that is judged and not made; raises RefusedError if it would be refused."""

    async def may(
        self,
        user: str,
        groups: tuple[str, ...],
        verb: str,
        group: str,
        resource: str,
        subresource: str,
        namespace: str,
        name: str,
    ) -> bool:
        """Whether that user, being in these groups, has that right now."""

    async def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Deletes the object and, behind it, what it owns; nothing happens if it is not there."""
