"""A person's decision in the status of a request: its shape, that it is final, and that the operator leaves it alone.

Who may decide is the approval policy's to say; what is here holds for everybody, an administrator included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from refit.api import meta
from refit_cluster.client import Client
from refit_cluster.controlplane import ControlPlane

pytestmark = pytest.mark.contract

PLACE = f"/apis/{meta.API_VERSION}/namespaces/default/{meta.REQUESTS}"
REQUEST = f"{PLACE}/decided"
STATUS = f"{REQUEST}/status"
DIGEST = "sha256:" + "0123456789abcdef" * 4
YES = {"decision": "Approved", "proposalDigest": DIGEST}
NO = {"decision": "Rejected", "proposalDigest": DIGEST, "reason": "not at night"}
ADDRESS = {"apiVersion": meta.API_VERSION, "kind": meta.REQUEST_KIND, "metadata": {"name": "decided"}}


@pytest.fixture
def request_of_alice(admin: Client, sample: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """A request that is not decided yet."""
    yield admin.create(PLACE, {**sample["request-minimal"], "metadata": {"name": "decided"}}).accepted()
    admin.delete(REQUEST).accepted()


@pytest.fixture
def decided(admin: Client, request_of_alice: dict[str, Any]) -> dict[str, Any]:
    """The same with alice's approval."""
    assert "approvals" not in request_of_alice["status"]
    return admin.merge(STATUS, approvals(alice=YES)).accepted()


def approvals(**entries: Any) -> dict[str, Any]:
    return {"status": {"approvals": entries}}


@pytest.mark.usefixtures("request_of_alice")
@pytest.mark.parametrize(
    ("patch", "field", "says"),
    [
        pytest.param(approvals(bob={**YES, "decision": "approved"}), "status.approvals.bob.decision", '"Approved", "Rejected"', id="a decision in lower case"),
        pytest.param(approvals(bob={**YES, "decision": "yes"}), "status.approvals.bob.decision", '"Approved", "Rejected"', id="a decision in other words"),
        pytest.param(approvals(bob={**YES, "decision": ""}), "status.approvals.bob.decision", '"Approved", "Rejected"', id="an empty decision"),
        pytest.param(approvals(bob={"proposalDigest": DIGEST}), "status.approvals.bob.decision", "Required value", id="no decision"),
        pytest.param(approvals(bob={"decision": "Approved"}), "status.approvals.bob.proposalDigest", "Required value", id="a decision on nothing"),
        pytest.param(approvals(bob={**YES, "proposalDigest": "sha256:" + "A" * 64}), "status.approvals.bob.proposalDigest", "should match '^sha256:", id="a digest in upper case"),
        pytest.param(approvals(bob={**YES, "proposalDigest": DIGEST[:-1]}), "status.approvals.bob.proposalDigest", "should match '^sha256:", id="a digest cut short"),
        pytest.param(approvals(bob={**YES, "proposalDigest": DIGEST[7:]}), "status.approvals.bob.proposalDigest", "should match '^sha256:", id="a digest that does not say of what kind"),
        pytest.param(approvals(bob={**NO, "reason": None}), "status.approvals[bob].reason", "a rejection needs a reason", id="a rejection without a reason"),
        pytest.param(approvals(bob={**NO, "reason": " \n "}), "status.approvals[bob].reason", "a rejection needs a reason", id="a rejection with a blank reason"),
        pytest.param(approvals(bob={**NO, "reason": "x" * 1025}), "status.approvals.bob.reason", "may not be more than 1024 bytes", id="a reason of more than a kilobyte"),
        pytest.param(approvals(**{f"user{n}": YES for n in range(17)}), "status.approvals", "must have at most 16 items", id="seventeen approvals"),
        pytest.param(approvals(**{"": YES}), "status.approvals", "a key is a user name", id="nobody's approval"),
        pytest.param(approvals(**{"u" * 257: YES}), "status.approvals", "a key is a user name", id="the approval of a user with a name without end"),
        pytest.param({"status": {"phase": "Done"}}, "status.phase", '"Executed"', id="a phase that there is not"),
    ],
)  # fmt: skip
def test_a_decision_is_refused(admin: Client, patch: dict[str, Any], field: str, says: str) -> None:
    answer = admin.merge(STATUS, patch)
    assert (answer.code, answer.fields, says in answer.message) == (422, (field,), True), answer.message


@pytest.mark.usefixtures("decided")
@pytest.mark.parametrize(
    "patch",
    [
        pytest.param(approvals(alice=NO), id="turning it round"),
        pytest.param(approvals(alice={"reason": "afterwards"}), id="giving a reason afterwards"),
        pytest.param(approvals(alice={"proposalDigest": "sha256:" + "f" * 64}), id="moving it to another proposal"),
        pytest.param(approvals(alice=None), id="taking it back"),
        pytest.param({"status": {"approvals": None}}, id="taking all back"),
        pytest.param({"status": None}, id="dropping the status"),
    ],
)
def test_a_decision_is_final_for_a_cluster_admin(plane: ControlPlane, admin: Client, patch: dict[str, Any]) -> None:
    with Client(plane.kubeconfig_for("root", "system:masters")) as root:
        answer = root.merge(STATUS, patch)
    assert (answer.code, answer.fields) == (422, ("status.approvals",))
    assert answer.message.endswith("a decision is final")
    assert admin.get(REQUEST).accepted()["status"]["approvals"] == {"alice": YES}


@pytest.mark.usefixtures("decided")
def test_a_second_person_decides_beside_the_first(admin: Client) -> None:
    found = admin.merge(STATUS, approvals(**{"bob@example.org": NO})).accepted()
    assert found["status"]["approvals"] == {"alice": YES, "bob@example.org": NO}


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"action": "Restart"}, id="another action"),
        pytest.param({"note": "on second thoughts"}, id="a note"),
        pytest.param({"targetRef": {"name": "other"}}, id="another target"),
        pytest.param({"expiresAt": "2030-01-01T00:00:00Z"}, id="more time"),
    ],
)
@pytest.mark.usefixtures("request_of_alice")
def test_what_is_asked_for_never_changes(admin: Client, patch: dict[str, Any]) -> None:
    answer = admin.merge(REQUEST, {"spec": patch})
    assert (answer.code, answer.fields) == (422, ("spec",))
    assert answer.message.endswith("spec is immutable; create a new RemediationRequest")


@pytest.mark.usefixtures("decided")
@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"observedGeneration": 1, "phase": "Executing"}, id="the next phase"),
        pytest.param({"observedGeneration": 1}, id="less than before"),
        pytest.param({}, id="nothing"),
    ],
)
def test_the_operators_status_leaves_decisions_alone(admin: Client, status: dict[str, Any]) -> None:
    first = {**ADDRESS, "status": {"observedGeneration": 1, "phase": "AwaitingApproval"}}
    admin.apply(STATUS, first, meta.FIELD_MANAGER).accepted()
    found = admin.apply(STATUS, {**ADDRESS, "status": status}, meta.FIELD_MANAGER).accepted()["status"]
    assert found == {
        "approvals": {"alice": YES},
        "alerts": [],
        "conditions": [],
        "reports": [],
        **({} if status else {"observedGeneration": -1}),
        **status,
    }
