"""On the real cluster: somebody asks for a retraining, another approves it on the page, and watches it end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser import card, chromium, sign_in, window
from guarded import RBAC
from people import grant, person
from real_cluster import Manifest, RealCluster, Space, eventually
from specs import heart

pytestmark = pytest.mark.cluster

PORT = 8501
REMEDIATION = {"policy": "seed-visual", "mode": "Act", "retraining": {"trialSeconds": 60}}
RETRAIN_MS = 400_000


@pytest.fixture(scope="module")
def approver(cluster: RealCluster, space: Space) -> str:
    """A token of somebody who may approve retraining here, and nothing anywhere else."""
    cluster.run("create", "serviceaccount", "approver", "-n", space.name)
    binding = {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": {"name": "approver", "namespace": space.name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "refit-approver-retrain"},
        "subjects": [{"kind": "ServiceAccount", "name": "approver", "namespace": space.name}],
    }
    cluster.run("create", "-f", "-", text=json.dumps(binding))
    return cluster.run("create", "token", "approver", "-n", space.name, "--duration", "1h").strip()


def _status(space: Space, name: str) -> Manifest:
    path = space.path("refit.dev/v1alpha1", "remediationrequests", name)
    return dict(space.cluster.client.get(path).accepted().get("status") or {})


def test_a_yes_on_the_page_ends_in_what_was_approved(
    cluster: RealCluster, space: Space, approver: str, tmp_path: Path
) -> None:
    space.declare("heart", heart() | {"remediation": REMEDIATION})
    space.becomes_ready("heart", 400)
    bob = person(cluster, tmp_path, "bob")
    grant(space, "refit-requester", "bob")
    asked = {
        "apiVersion": "refit.dev/v1alpha1",
        "kind": "RemediationRequest",
        "metadata": {"name": "by-hand", "namespace": space.name},
        "spec": {
            "targetRef": {"name": "heart", "uid": space.deployment("heart")["metadata"]["uid"]},
            "action": "Retrain",
            "trigger": {"type": "Human"},
            "requestedBy": "bob",
            "note": "new rows since Friday",
        },
    }
    done = bob.run("create", "-f", "-", text=json.dumps(asked))
    assert done.returncode == 0, done.stderr
    eventually(
        lambda: _status(space, "by-hand").get("phase") == "AwaitingApproval" or None, 300, "it awaits a decision"
    )
    with cluster.forwarded("refit-ui", PORT) as url, chromium() as browser:
        context = window(browser)
        tab = context.new_page()
        sign_in(tab, url, approver, f"/?namespace={space.name}")
        expect(card(tab)).to_contain_text("new rows since Friday")
        card(tab).get_by_label("Reason").fill("go ahead")
        card(tab).get_by_role("button", name="Approve").click()
        # The page says so by itself, without being asked again.
        expect(tab.get_by_text("Completed")).to_be_visible(timeout=RETRAIN_MS)
        context.close()
    name = f"system:serviceaccount:{space.name}:approver"
    status = _status(space, "by-hand")
    assert status["phase"] == "Executed"
    assert (status["approvals"][name]["decision"], status["approvals"][name]["reason"]) == ("Approved", "go ahead")
    assert status["execution"]["approvers"] == [name]
