"""Models and requests as the page reads them, without a cluster."""

from __future__ import annotations

from typing import Any

from plugin import MODEL_STATUS, OPEN, ago, asking, model, request
from refit.api.objects import Model, Request, model_of, request_of
from refit.api.times import moment

NOW = moment(ago(0))
METADATA = {"namespace": "team-a", "uid": "u-1", "resourceVersion": "7", "generation": 1, "creationTimestamp": ago(3)}


def made_model(status: dict[str, Any] | None = None) -> Model:
    manifest = model("heart")
    return model_of(
        {**manifest, "metadata": {**METADATA, "name": "heart"}, "status": MODEL_STATUS if status is None else status}
    )


def made_request(status: dict[str, Any] | None = None, **spec: Any) -> Request:
    manifest = request(OPEN, "a note")
    return request_of(
        {
            **manifest,
            "metadata": {**METADATA, "name": OPEN},
            "spec": {**manifest["spec"], **spec},
            "status": asking()["status"] if status is None else status,
        }
    )


def with_proposal(**proposal: Any) -> dict[str, Any]:
    status: dict[str, Any] = asking()["status"]
    return {**status, "proposal": {**status["proposal"], **proposal}}
