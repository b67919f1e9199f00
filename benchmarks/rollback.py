"""From a person's yes to another version that serves, on the running kind cluster with warm images and under load.

Beside it, in the same run, the same change of an InferenceService without Refit: patched by hand, until its roll-out is complete.

    python benchmarks/rollback.py [--runs 3] [--json out.json]
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

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("cluster", "tests/support", "benchmarks")]

from figures import Figure, tell  # noqa: E402  # found by the line above

from load import counted, loaded  # noqa: E402
from real_cluster import Manifest, Space, eventually, namespace, opened  # noqa: E402
from specs import RECORD, heart  # noqa: E402

NAMESPACE, APPROVER = "bench-rollback", "bench-approver"
SECONDS = 20.0


def run(runs: int = 3) -> list[dict[str, Any]]:
    """One record per figure; medians over the runs."""
    with opened() as cluster, namespace(cluster, NAMESPACE, "privileged") as space:
        _prepare(space)
        taken: dict[str, list[float]] = {"Rollback": [], "Promote": []}
        with loaded(space, "heart", RECORD) as load:
            for number in range(runs):
                for action, seconds in taken.items():
                    seconds.append(_carried_out(space, f"{action.lower()}-{number}", action))
            failures = len(counted(space, load)["failures"])
        alone = statistics.median(_by_hand(space, number) for number in range(runs))
    return [figure.record() for figure in _figures(taken, failures, alone)]


def _prepare(space: Space) -> None:
    """A model with two versions, and somebody who may approve."""
    space.declare("heart", heart() | {"remediation": {"mode": "Act"}})
    space.becomes_ready("heart")
    other = [{"algorithm": "LogisticRegression", "parameters": {"C": "0.01"}}]
    space.declare("heart", heart(candidates=other) | {"remediation": {"mode": "Act"}})
    eventually(lambda: len(_served(space)) == 2, 240, "the second version serves")  # noqa: PLR2004  # a retired one, and it
    role = ("create", "rolebinding", "approver", "--clusterrole=refit-approver", f"--user={APPROVER}", "-n", space.name)
    space.cluster.run(*role)


def _served(space: Space) -> list[Manifest]:
    """The records of versions that served or do, the one that does last."""
    history = (space.deployment("heart").get("status") or {}).get("history") or []
    found = [one for one in history if one["state"] in ("Retired", "Serving")]
    ends = [one for one in found if one["state"] == "Serving"]
    return [one for one in found if one["state"] == "Retired"] + ends if ends else []


def _carried_out(space: Space, name: str, action: str) -> float:
    """Seconds from the yes to the outcome."""
    target = _served(space)[0]["version"]
    requests = space.path("refit.dev/v1alpha1", "remediationrequests")
    body = {
        "apiVersion": "refit.dev/v1alpha1",
        "kind": "RemediationRequest",
        "metadata": {"name": name},
        "spec": {
            "targetRef": {"name": "heart"},
            "action": action,
            "parameters": {"toVersion": target},
            "trigger": {"type": "Human"},
            "requestedBy": space.cluster.me,
        },
    }
    space.cluster.client.create(requests, body).accepted()

    def status() -> Manifest:
        return dict(space.cluster.client.get(f"{requests}/{name}").accepted().get("status") or {})

    eventually(lambda: status().get("phase") == "AwaitingApproval", 60, f"{name} awaits approval")
    entry = {"decision": "Approved", "proposalDigest": status()["proposal"]["digest"]}
    patch = json.dumps({"status": {"approvals": {APPROVER: entry}}})
    space.cluster.run(
        *("patch", "rreq", name, "-n", space.name, f"--as={APPROVER}", "--subresource=status", "--type=merge"),
        *("-p", patch),
    )
    begun = time.perf_counter()
    eventually(lambda: status()["phase"] == "Executed", 240, f"{name} is carried out")
    return time.perf_counter() - begun


def _by_hand(space: Space, number: int) -> float:
    """Seconds until an InferenceService without Refit serves another version."""
    services = space.path("serving.kserve.io/v1beta1", "inferenceservices")
    model = space.cluster.client.get(f"{services}/heart").accepted()
    name = f"alone-{number}"
    old, new = _served(space)
    manifest = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "annotations": model["metadata"]["annotations"]},
        "spec": _of(model, old),
    }
    space.cluster.client.create(services, manifest).accepted()
    deployment = space.path("apps/v1", "deployments", f"{name}-predictor")

    def serves(record: Manifest) -> bool:
        found = space.cluster.get(deployment)
        if found is None:
            return False
        [container] = found["spec"]["template"]["spec"]["containers"]
        ours = {"name": "REFIT_ARTIFACT_SHA256", "value": record["artifact"]["sha256"]} in container["env"]
        status = found.get("status") or {}
        current = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
        whole = status.get("replicas") == status.get("updatedReplicas") == status.get("availableReplicas") == 1
        return ours and current and whole

    eventually(lambda: serves(old), 120, "the service serves the old version")
    begun = time.perf_counter()
    space.cluster.client.merge(f"{services}/{name}", {"spec": _of(model, new)}).accepted()
    eventually(lambda: serves(new), 120, "the service serves the new version")
    return time.perf_counter() - begun


def _of(service: Manifest, record: Manifest) -> Manifest:
    """The spec of the service for that version."""
    spec = copy.deepcopy(service["spec"])
    model = spec["predictor"]["model"]
    model["storageUri"] = record["artifact"]["uri"]
    for item in model["env"]:
        if item["name"] == "REFIT_ARTIFACT_SHA256":
            item["value"] = record["artifact"]["sha256"]
    return dict(spec)


def _figures(taken: dict[str, list[float]], failures: int, alone: float) -> list[Figure]:
    hand = f"the InferenceService patched by hand: {alone:.1f} s"
    return [
        *(
            Figure(
                what=f"{action}: from the yes to the outcome, read back",
                value=statistics.median(seconds),
                unit="s",
                compared_with=hand,
                ratio=statistics.median(seconds) / alone,
                at_most=SECONDS,
            )
            for action, seconds in taken.items()
        ),
        Figure(what="failed requests meanwhile, at five a second", value=float(failures), unit="", at_most=0),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the records")
    given = parser.parse_args()
    tell(run(given.runs), given.json)


if __name__ == "__main__":
    main()
