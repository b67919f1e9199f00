"""A pod that asks a model for predictions all the time, and counts who answered and what failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from real_cluster import Space, eventually
from refit.core.pods import container_security, pod_security

LOAD = """
import collections, json, sys, time, urllib.request
url, body = sys.argv[1], json.dumps({"instances": [json.loads(sys.argv[2])]}).encode()
pause = float(sys.argv[3])
answers, failures = collections.Counter(), []
while True:
    begun = time.monotonic()
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as response:
            answers[json.load(response)["model_version"]] += 1
    except Exception as error:
        failures.append(f"{time.time():.1f} {type(error).__name__} {error}")
    print(json.dumps({"answers": answers, "failures": failures}), flush=True)
    time.sleep(max(0, pause - (time.monotonic() - begun)))
"""
"""Requests from inside the cluster, each on a connection of its own, until deleted."""


@contextmanager
def loaded(space: Space, model: str, record: dict[str, Any], *, base: str = "", pause: float = 0.2) -> Iterator[str]:
    """The name of the pod, once it has its first answer; it is gone afterwards. It asks at `base`, or the predictor,
    as often as the pause between two requests says."""
    url = f"{base or f'http://{model}-predictor.{space.name}.svc'}/v1/models/{model}:predict"
    name = f"load-{model}"
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space.name},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": pod_security(),
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "load",
                    "image": space.cluster.images["operator"],
                    "command": ["python", "-c", LOAD, url, json.dumps(record), str(pause)],
                    "securityContext": container_security(),
                }
            ],
        },
    }
    pods = space.path("v1", "pods")
    space.cluster.client.create(pods, manifest).accepted()
    eventually(lambda: counted(space, name)["answers"], 60, "the load has its first answer")
    yield name
    space.cluster.client.delete(f"{pods}/{name}")


def counted(space: Space, pod: str) -> dict[str, Any]:
    """What the load has counted so far."""
    lines = space.cluster.run("logs", pod, "-n", space.name, "--tail=2", check=False).splitlines()
    return json.loads(lines[-1]) if lines else {"answers": {}, "failures": []}
