"""From `kubectl apply` to a URL that answers, on the running kind cluster with warm images.

Beside it, in the same run, the least that a cluster does for a training: a Job of the same image that does nothing,
and an InferenceService of an artifact that is there already. What Refit adds is the difference.

    python benchmarks/apply_to_url.py [--runs 3] [--json out.json]
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "cluster"), str(ROOT / "tests" / "support")]

from figures import Figure, tell  # noqa: E402  # found by the line above

from real_cluster import Manifest, Space, eventually, namespace, opened  # noqa: E402

NAMESPACE = "bench-apply"
RECORDS = json.loads((ROOT / "examples" / "request-v1.json").read_text())


def run(runs: int = 3) -> list[dict[str, Any]]:
    """One record per figure; medians over the runs."""
    with opened() as cluster, namespace(cluster, NAMESPACE, "privileged") as space:
        rounds = [_round(space, number) for number in range(runs)]
    return [figure.record() for figure in _figures(rounds)]


def _round(space: Space, number: int) -> dict[str, float]:
    name = f"heart-{number}"
    spec = yaml.safe_load((ROOT / "examples" / "heart.yaml").read_text())["spec"]
    begun = time.perf_counter()
    space.declare(name, spec)
    found = space.becomes_ready(name)
    space.ask(name, f"/v1/models/{name}:predict", RECORDS)
    whole = time.perf_counter() - begun
    training = found["status"]["training"]
    service = _service(space, name)
    return {
        "whole": whole,
        "fit": float(training["fitSeconds"]),
        "trainer": float(training["totalSeconds"]),
        "job": _empty_job(space, number),
        "service": _service_alone(space, service, f"alone-{number}"),
    }


def _service(space: Space, name: str) -> Manifest:
    return space.cluster.client.get(space.path("serving.kserve.io/v1beta1", "inferenceservices", name)).accepted()


def _empty_job(space: Space, number: int) -> float:
    """A Job of the trainer's image that ends at once."""
    name = f"empty-{number}"
    container = {"name": "a", "image": space.cluster.images["trainer"], "command": ["python", "-c", "pass"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}}
    begun = time.perf_counter()
    space.cluster.client.create(space.path("batch/v1", "jobs"), manifest).accepted()

    def ended() -> bool:
        job = space.cluster.get(space.path("batch/v1", "jobs", name)) or {}
        return bool((job.get("status") or {}).get("succeeded"))

    eventually(ended, 120, "an empty Job ends")
    return time.perf_counter() - begun


def _service_alone(space: Space, service: Manifest, name: str) -> float:
    """The same InferenceService under another name, without Refit, until it answers."""
    spec = copy.deepcopy(service["spec"])
    for item in spec["predictor"]["model"]["env"]:
        if item["name"] == "REFIT_MODEL_NAME":
            item["value"] = service["metadata"]["name"]
    manifest = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": service["metadata"]["annotations"]},
        "spec": spec,
    }
    begun = time.perf_counter()
    space.cluster.client.create(space.path("serving.kserve.io/v1beta1", "inferenceservices"), manifest).accepted()
    path = f"/v1/models/{service['metadata']['name']}:predict"
    proxy = space.path("v1", "services", f"{name}-predictor:80/proxy")

    def answers() -> bool:
        return space.cluster.client.request("POST", proxy + path, body=RECORDS).code == 200  # noqa: PLR2004

    eventually(answers, 120, "an InferenceService without Refit answers")
    return time.perf_counter() - begun


def _figures(rounds: list[dict[str, float]]) -> list[Figure]:
    found = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    least = found["job"] + found["service"]
    return [
        Figure(
            what="kubectl apply to an answer from the URL, warm images",
            value=found["whole"],
            unit="s",
            compared_with="an empty Job and the same InferenceService, without Refit",
            ratio=found["whole"] / least,
            at_most=30,
        ),
        Figure(what="of that: folds and fitting", value=found["fit"], unit="s"),
        Figure(what="of that: trainer outside fitting", value=found["trainer"] - found["fit"], unit="s", at_most=6),
        Figure(what="an empty Job of the trainer's image", value=found["job"], unit="s"),
        Figure(what="the InferenceService alone, to an answer", value=found["service"], unit="s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the records")
    given = parser.parse_args()
    tell(run(given.runs), given.json)


if __name__ == "__main__":
    main()
