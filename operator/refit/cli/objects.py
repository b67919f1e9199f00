"""Models and requests as the operator's decisions take them, for the plugin to repeat a decision."""

from __future__ import annotations

from refit.api.objects import Model, Request
from refit.api.times import moment
from refit.core.observed import Deployment, RequestSeen


def seen_deployment(model: Model) -> Deployment:
    """The model as the operator's decisions take it."""
    metadata = model.manifest["metadata"]
    return Deployment(
        name=model.name,
        namespace=model.namespace,
        uid=model.uid,
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        created=moment(model.created),
        spec=model.spec,
        status=model.status,
    )


def seen_request(request: Request) -> RequestSeen:
    """The request as the operator's decisions take it."""
    return RequestSeen(
        name=request.name,
        uid=request.uid,
        generation=request.manifest["metadata"]["generation"],
        resource_version=request.resource_version,
        created=moment(request.created),
        ours=False,
        spec=request.spec,
        status=request.status,
    )
