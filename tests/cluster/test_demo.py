"""The demonstration, as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from real_cluster import EXAMPLES, RealCluster

pytestmark = pytest.mark.cluster


def test_the_demonstration_ends_with_two_real_answers_and_a_repair_that_somebody_approved(cluster: RealCluster) -> None:
    kubectl, _, kubeconfig = cluster.kubectl
    environment = os.environ | {
        "PATH": f"{Path(kubectl).parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KUBECONFIG": kubeconfig,
        "REFIT_DEMO_NAMESPACE": "e2e-demo",
        "REFIT_DEMO_PORT": "18081",
    }
    try:
        done = subprocess.run(
            [EXAMPLES / "demo.sh"], env=environment, capture_output=True, text=True, check=False, timeout=900
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert '"predictions":[{"label":0,"probabilities":{"0":' in done.stdout
        assert "Drifted=True" in done.stdout
        assert "QualityOk=False: f1 " in done.stdout
        assert "Retrain heart; predicted f1 " in done.stdout
        assert '"result":"Retrained"' in done.stdout
        assert re.search(r"^approved +by alice for sha256:[0-9a-f]{64}, seen ", done.stdout, re.MULTILINE), (
            "trace ends at her"
        )
        assert "the chain holds" in done.stdout
        assert "Retrain, Executed" in done.stdout
        assert '"outputs":[{"name":"label","shape":[1],"datatype":"INT64","data":[0]}' in done.stdout
    finally:
        cluster.client.delete("/api/v1/namespaces/e2e-demo")
