"""The operator itself, for tests that take it away: killed, scaled to none, brought back."""

from __future__ import annotations

from real_cluster import SYSTEM, Space, eventually


def kill_operator(space: Space) -> None:
    """Without grace, as a node that goes down does it; then waits for the next one to run."""
    pods = space.path("v1", "pods").replace(space.name, SYSTEM)
    before = operator_pods(space)
    for name in before:
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
        space.cluster.client.request("DELETE", f"{pods}/{name}", body=body)
    eventually(lambda: set(operator_pods(space)) - set(before), 60, "another operator runs")


def operator_pods(space: Space) -> list[str]:
    found = space.cluster.items(space.path("v1", "pods").replace(space.name, SYSTEM))
    return [
        pod["metadata"]["name"]
        for pod in found
        if (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/name") == "refit-operator"
        and pod["status"]["phase"] == "Running"
        and not pod["metadata"].get("deletionTimestamp")
    ]


def scale_operator(space: Space, replicas: int) -> None:
    """Takes the operator away, or brings it back."""
    space.cluster.run("scale", "deployment/refit-operator", "-n", SYSTEM, f"--replicas={replicas}")
    if replicas:
        space.cluster.run("rollout", "status", "deployment/refit-operator", "-n", SYSTEM, "--timeout=120s")
    else:
        pods = space.path("v1", "pods").replace(space.name, SYSTEM)

        def gone() -> bool:
            found = space.cluster.items(pods)
            return not [pod for pod in found if pod["metadata"]["name"].startswith("refit-operator-")]

        eventually(gone, 60, "the operator is away")
