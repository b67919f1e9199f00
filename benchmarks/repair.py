"""What stands between a person's yes and what it was said to.

    python benchmarks/repair.py [--requests 100] [--decisions 1000] [--json out.json]

On a live API server with the real operator and the real guard, the rest of the cluster simulated: at least one hundred requests are
open while fifty others are approved one after the other, and the API server's own audit log says when the answer to each approval
was given and when the operator first changed the model. Beside it the same change made by hand, with nobody asked: what the API server itself takes.

And, without a cluster, recorded decisions made again from what is stored of them, and compared byte by byte.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("cluster", "benchmarks")]

from figures import Figure, tell  # noqa: E402  # beside this script, which runs without being installed
from scale_world import DEPLOYMENTS, LOGS, OURS, SYSTEM, USER, World  # noqa: E402

from refit.api import guard  # noqa: E402
from refit.api.measured import FeatureDrift, LastMeasurement, Verdict  # noqa: E402
from refit.api.remediationrequest import Diagnosis  # noqa: E402
from refit.cli.reasoning import inputs_of  # noqa: E402
from refit.core.diagnosis import diagnose  # noqa: E402
from refit_cluster import golang, kserve  # noqa: E402
from refit_cluster.client import Client  # noqa: E402
from refit_cluster.controlplane import ControlPlane  # noqa: E402
from refit_cluster.shell import wait_until  # noqa: E402

REQUESTS, APPROVED, DECISIONS = 100, 50, 1000
PATH = "/apis/refit.dev/v1alpha1/namespaces/{}/remediationrequests"
APPROVER = "approver"
APPROVER_NAME = f"system:serviceaccount:{SYSTEM}:{APPROVER}"
SECONDS = 2.0
ACTING = {"remediation": {"mode": "Act"}}


def run(requests: int = REQUESTS, decisions: int = DECISIONS) -> list[dict[str, Any]]:
    """The figures, as records."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with ControlPlane() as plane, ExitStack() as stack:
        world = World(plane, stack)
        world.define()
        _guard(world)
        world.simulate()
        operator = world.start("-m", "refit")
        whole = requests + APPROVED
        _models(world, whole)
        world.served(operator, whole)
        _ask(world, whole)
        offset = plane.audit_log.stat().st_size
        _approve(world, whole, APPROVED)
        waits = _effects(plane.audit_log, offset)
        by_hand = _by_hand(world, APPROVED)
    assert len(waits) == APPROVED, f"{len(waits)} of {APPROVED} were carried out"
    same, seconds = _replayed(decisions)
    p99, hand = _p99(waits), _p99(by_hand)
    return [
        figure.record()
        for figure in (
            Figure(
                what=f"approval to first effect at {requests} open requests: p99",
                value=p99,
                unit="s",
                compared_with=f"the same change by hand, nobody asked: {hand:.3f} s",
                ratio=p99 / hand,
                at_most=SECONDS,
            ),
            Figure(what="approval to first effect: p50", value=statistics.median(waits), unit="s"),
            Figure(
                what=f"of {decisions} recorded decisions, made again with the same bytes",
                value=float(same),
                unit="",
                at_least=float(decisions),
            ),
            Figure(what="making a decision again", value=1000 * seconds / decisions, unit="ms"),
        )
    ]


def _guard(world: World) -> None:
    """The policies as shipped, and somebody who may approve; waits until the guard bites."""
    kubectl = kserve.Kubectl(golang.KUBERNETES.binary(world.plane.places, "kubectl"), world.plane.kubeconfig)
    roles = list(yaml.safe_load_all((ROOT / "manifests" / "roles.yaml").read_text()))
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": APPROVER, "namespace": SYSTEM}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": APPROVER, "namespace": OURS},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "refit-approver"},
        "subjects": [{"kind": "ServiceAccount", "name": APPROVER, "namespace": SYSTEM}],
    }
    kubectl.apply([*guard.objects(USER), *roles, account, binding])


def _models(world: World, count: int) -> None:
    example = yaml.safe_load((ROOT / "examples" / "heart.yaml").read_text())
    spec = {name: part for name, part in example["spec"].items() if name != "monitoring"} | ACTING
    with world.admin() as admin:
        for number in range(count):
            metadata = {"name": f"heart-{number:04d}", "namespace": OURS}
            admin.create(DEPLOYMENTS.format(OURS), {**example, "spec": spec, "metadata": metadata}).accepted()


def _ask(world: World, count: int) -> None:
    """A request about each model, all of them waiting for approval in the end."""
    with world.admin() as admin:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = admin.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review).accepted()
        me = answer["status"]["userInfo"]["username"]
        for number in range(count):
            body = {
                "apiVersion": "refit.dev/v1alpha1",
                "kind": "RemediationRequest",
                "metadata": {"name": f"wish-{number:04d}", "namespace": OURS},
                "spec": {
                    "targetRef": {"name": f"heart-{number:04d}"},
                    "action": "ChangeConfig",
                    "parameters": {"config": {"training.timeoutSeconds": "900"}},
                    "trigger": {"type": "Human"},
                    "requestedBy": me,
                },
            }
            admin.create(PATH.format(OURS), body).accepted()

        def asked() -> bool:
            found = admin.get(PATH.format(OURS)).accepted()["items"]
            return all((one.get("status") or {}).get("phase") == "AwaitingApproval" for one in found)

        wait_until(asked, what="all requests awaiting approval", within=300, pause=0.5)


def _approve(world: World, count: int, decisions: int) -> None:
    """Yes to so many of them, in an order of chance, each after the one before was carried out."""
    order = random.Random(20261121).sample(range(count), decisions)  # noqa: S311  # repeatable, not secret
    with world.admin() as admin, Client(world.kubeconfig(APPROVER)) as approver:
        for number in order:
            path = f"{PATH.format(OURS)}/wish-{number:04d}"
            digest = admin.get(path).accepted()["status"]["proposal"]["digest"]
            entry = {"decision": "Approved", "proposalDigest": digest}
            approver.merge(f"{path}/status", {"status": {"approvals": {APPROVER_NAME: entry}}}).accepted()

            def done(path: str = path) -> bool:
                return bool(admin.get(path).accepted()["status"]["phase"] == "Executed")

            wait_until(done, what=f"{path} carried out", within=60, pause=0.05)


def _effects(log: Path, offset: int) -> list[float]:
    """Seconds from the answer to each approval to the operator's change of the model, by the audit log."""
    approved: dict[str, datetime] = {}
    waits = []
    with log.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            event = json.loads(line)
            what, who = event.get("objectRef") or {}, event["user"]["username"]
            if event["verb"] != "patch" or event["responseStatus"]["code"] != 200:  # noqa: PLR2004
                continue
            number = what.get("name", "").rpartition("-")[2]
            if (what.get("resource"), who) == ("remediationrequests", APPROVER_NAME):
                approved[number] = datetime.fromisoformat(event["stageTimestamp"])
            elif (what.get("resource"), what.get("subresource"), who) == ("modeldeployments", None, USER):
                begun = datetime.fromisoformat(event["requestReceivedTimestamp"])
                waits.append((begun - approved[number]).total_seconds())
    return waits


def _by_hand(world: World, count: int) -> list[float]:
    found = []
    with world.admin() as admin:
        for number in range(count):
            began = time.perf_counter()
            patch = {"spec": {"training": {"timeoutSeconds": 1200}}}
            admin.merge(f"{DEPLOYMENTS.format(OURS)}/heart-{number:04d}", patch).accepted()
            found.append(time.perf_counter() - began)
    return found


def _replayed(count: int) -> tuple[int, float]:
    """How many of so many diagnoses come out the same from what is stored of them, and the seconds of all."""
    noise = random.Random(20261121)  # noqa: S311  # repeatable, not secret
    stored: list[Diagnosis] = []
    while len(stored) < count:
        features = tuple(
            FeatureDrift(column=f"c{place}", method="KS", effect=f"{noise.uniform(0.1, 1):.2f}", p_value="1e-9")
            for place in range(noise.randint(1, 8))
        )
        last = LastMeasurement(
            key="k",
            time="2026-11-21T12:00:00Z",
            verdict=Verdict.DRIFT,
            rows=noise.randint(30, 100_000),
            version=1,
            features=features,
            drifted=len(features),
        )
        found = diagnose(None, last, ())
        if found is not None:
            stored.append(found)
    began = time.perf_counter()
    same = 0
    for one in stored:
        inputs = inputs_of(one.reasoning)
        same += diagnose(inputs.monitoring, inputs.last, inputs.alerts) == one
    return same, time.perf_counter() - began


def _p99(values: list[float]) -> float:
    return sorted(values)[int(0.99 * (len(values) - 1))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--decisions", type=int, default=DECISIONS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    tell(run(given.requests, given.decisions), given.json)


if __name__ == "__main__":
    main()
