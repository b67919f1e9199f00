"""Watched models on the real cluster, for tests: requests that are sent, measurements that are asked for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import httpx

from heart_rows import Row, without_target
from real_cluster import Manifest, Space, eventually
from refit.api.events import AUDIENCE, LABELS_PATH

ASKED = itertools.count(1)


def send(space: Space, model: str, rows: list[Row]) -> str:
    """Asks for predictions of all these rows in one request; the inference id."""
    answer = space.ask(model, f"/v1/models/{model}:predict", {"instances": without_target(rows)})
    assert len(answer["predictions"]) == len(rows)
    return str(answer["id"])


def measure(space: Space, model: str, seconds: float = 120) -> Manifest:
    """Asks for a measurement now; the answer as it stands in status."""
    before = (space.deployment(model)["status"].get("measurement") or {}).get("key")
    asked = f"test-{next(ASKED)}"
    space.cluster.run(
        "annotate", "mdep", model, "-n", space.name, f"refit.dev/measure-requested-at={asked}", "--overwrite"
    )

    def look() -> Manifest | None:
        status = space.deployment(model)["status"]
        ordered, last = status.get("measurement") or {}, status.get("lastMeasurement") or {}
        done = ordered.get("requested") == asked and ordered.get("key") != before and ordered["phase"] == "Ended"
        return last if done and last.get("key") == ordered["key"] else None

    return eventually(look, seconds, f"{model} was measured")


def until(space: Space, model: str, holds: Callable[[Manifest], bool], what: str) -> Manifest:
    """The first measurement of which that holds; requests reach the collector a moment after their answers."""
    for _ in range(10):
        found = measure(space, model)
        if holds(found):
            return found
    raise AssertionError(f"{what}: {found}")


def condition(space: Space, model: str, kind: str) -> tuple[str, str]:
    found = space.condition(model, kind)
    assert found is not None
    return found["status"], found["reason"]


def requests(space: Space, model: str) -> list[Manifest]:
    found = space.cluster.items(space.path("refit.dev/v1alpha1", "remediationrequests"))
    return [request for request in found if request["spec"]["targetRef"]["name"] == model]


def answered(space: Space, model: str, name: str = "") -> Manifest | None:
    """The status of the request of that name, or of the model's first, once somebody has said something in it."""
    found = [request for request in requests(space, model) if name in ("", request["metadata"]["name"])]
    status: Manifest = found[0].get("status") or {}
    return status if "phase" in status else None


def labels(space: Space, model: str, found: list[dict[str, Any]]) -> Manifest:
    """Posts labels as somebody of that namespace does: with a token of its ServiceAccount for the collector."""
    headers = {"Authorization": f"Bearer {space.cluster.token(space.name, AUDIENCE)}"}
    with space.cluster.forwarded("refit-collector", 8080) as collector:
        path = LABELS_PATH.format(namespace=space.name, model=model)
        answer = httpx.post(f"{collector}{path}", json=found, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
