"""The audit of the operator in the cluster: kept, read through the API server, and in agreement with its audit log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from real_cluster import SYSTEM, RealCluster, eventually
from refit.audit import checkpoints
from refit_cluster.places import Places
from refit_cluster.up import Cluster

pytestmark = pytest.mark.cluster
CHECKPOINT = f"/api/v1/namespaces/{SYSTEM}/configmaps/refit-audit-checkpoint"


@pytest.fixture(scope="module")
def kubeconfig(cluster: RealCluster) -> str:
    assert cluster.client
    known = Cluster.read(Places.from_env(os.environ))
    assert known is not None
    assert known.kubeconfig is not None
    return str(known.kubeconfig)


def refit(*words: str | Path, kubeconfig: str = "/nowhere") -> tuple[int, str, str]:
    command = [sys.executable, "-m", "refit.cli", *words]
    environment = {**os.environ, "KUBECONFIG": kubeconfig}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def kept(cluster: RealCluster) -> checkpoints.Checkpoint | None:
    found = cluster.get(CHECKPOINT)
    return checkpoints.found_in(json.dumps(found))[0] if found is not None else None


def test_the_chart_made_a_key_and_the_operator_opened_its_audit(cluster: RealCluster) -> None:
    secret = cluster.get(f"/api/v1/namespaces/{SYSTEM}/secrets/refit-audit-keys")
    assert secret is not None
    assert set(secret["data"]) >= {"current", "k1"}
    found = eventually(lambda: kept(cluster), 60, "a checkpoint in the ConfigMap")
    assert checkpoints.problem_of(found) == ""


def test_the_rows_hold_online_and_offline_and_agree_with_the_log(
    cluster: RealCluster, kubeconfig: str, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.json"
    checkpoint.write_text(json.dumps(cluster.get(CHECKPOINT)))
    code, out, err = refit("audit", "verify", kubeconfig=kubeconfig)
    assert (code, err) == (0, ""), out
    code, out, err = refit("audit", "export", "--file", tmp_path / "audit.tar", kubeconfig=kubeconfig)
    assert (code, err) == (0, ""), out
    assert cluster.audit_log is not None
    logs = [*sorted(cluster.audit_log.parent.glob(f"{cluster.audit_log.stem}-*")), cluster.audit_log]
    words = [word for log in logs for word in ("--api-log", str(log))]
    code, out, err = refit("verify", tmp_path / "audit.tar", "--checkpoint", checkpoint, "--part", *words)
    assert (code, err) == (0, ""), out
    assert "the API server's audit log and the rows agree" in out


def test_another_operator_holds_the_audit_against_the_checkpoint(cluster: RealCluster) -> None:
    """Its first words of the audit name the row that the last one exported when it stopped."""
    cluster.run("rollout", "restart", "deployment/refit-operator", "-n", SYSTEM)
    cluster.run("rollout", "status", "deployment/refit-operator", "-n", SYSTEM, "--timeout=120s")
    last = kept(cluster)
    assert last is not None
    lines = cluster.run("-n", SYSTEM, "logs", "deploy/refit-operator").splitlines()
    told = [json.loads(line)["message"] for line in lines if '"audit: ' in line]
    assert told, lines[:20]
    assert "the chain holds" in told[0] or "no rows" in told[0]
