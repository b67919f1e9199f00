"""A model is repaired on the real cluster: proposed, approved by a plain user, done once, read back, recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from heart_rows import Row, drawn, heart_rows, spoiled
from load import counted, loaded
from operators import kill_operator, scale_operator
from people import Person, grant, person
from real_cluster import EXAMPLES, SYSTEM, Manifest, Space, eventually
from refit_cluster.places import Places
from specs import RECORD, heart
from watched import labels, requests, send, until

pytestmark = pytest.mark.cluster

REMEDIATION: dict[str, Any] = {
    "policy": "seed-visual",
    "mode": "Act",
    "approval": {"escalationContact": "ml-leads"},
    "retraining": {"rows": "RecentOnly", "trialSeconds": 60},
}
MONITORING: dict[str, Any] = {
    "intervalSeconds": 86400,
    "window": {"hours": 24, "minRows": 100},
    "quality": [{"metric": "f1", "minimum": "0.6"}],
}


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return heart_rows(Places.from_env(os.environ).root)


@pytest.fixture(scope="module")
def model(space: Space) -> Iterator[Space]:
    """One model that is watched and may be repaired; the operator runs afterwards, whatever a test did to it."""
    columns = yaml.safe_load((EXAMPLES / "heart.yaml").read_text())["spec"]["data"]["columns"]
    spec = heart(data={"columns": columns}, serving={"requestLog": {"mode": "All"}, "maxReplicas": 2})
    space.declare("heart", spec | {"monitoring": MONITORING, "remediation": REMEDIATION})
    space.becomes_ready("heart", 400)
    yield space
    scale_operator(space, 1)


@pytest.fixture(scope="module")
def alice(model: Space, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """May approve retraining and rolling back, and nothing else."""
    found = person(model.cluster, tmp_path_factory.mktemp("alice"), "alice")
    grant(model, "refit-approver-retrain", "alice")
    grant(model, "refit-approver-rollback", "alice")
    return found


@pytest.fixture(scope="module")
def bob(model: Space, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """May make requests, and see them."""
    found = person(model.cluster, tmp_path_factory.mktemp("bob"), "bob")
    grant(model, "refit-requester", "bob")
    return found


@pytest.fixture(scope="module")
def forgotten(model: Space, bob: Person) -> str:
    """A request that nobody decides on, made first: its five minutes pass while the other tests run."""
    return ask(model, bob, "forgotten", "ChangeConfig", {"config": {"serving.maxReplicas": "3"}}, expires=301)


def ask(
    space: Space, who: Person, name: str, action: str, parameters: dict[str, Any] | None = None, expires: int = 0
) -> str:
    at = (datetime.now(UTC) + timedelta(seconds=expires)).strftime("%Y-%m-%dT%H:%M:%SZ")
    manifest = {
        "apiVersion": "refit.dev/v1alpha1",
        "kind": "RemediationRequest",
        "metadata": {"name": name, "namespace": space.name},
        "spec": {
            "targetRef": {"name": "heart", "uid": space.deployment("heart")["metadata"]["uid"]},
            "action": action,
            "parameters": parameters or {},
            "trigger": {"type": "Human"},
            "requestedBy": who.name,
            **({"expiresAt": at} if expires else {}),
        },
    }
    done = who.run("create", "-f", "-", text=json.dumps(manifest))
    assert done.returncode == 0, done.stderr
    return name


def status(space: Space, name: str) -> Manifest:
    path = space.path("refit.dev/v1alpha1", "remediationrequests", name)
    return dict(space.cluster.client.get(path).accepted().get("status") or {})


def stand(space: Space, name: str) -> tuple[str, str, str]:
    found = status(space, name)
    ready: Manifest = next((each for each in found.get("conditions") or [] if each["type"] == "Ready"), {})
    return found.get("phase", ""), ready.get("reason", ""), ready.get("message", "")


def comes_to(space: Space, name: str, phase: str, seconds: float = 240) -> Manifest:
    """The request's status once it has that phase; fails at once when it ended otherwise."""

    def look() -> Manifest | None:
        found = status(space, name)
        now = found.get("phase")
        ended = ("Executed", "Rejected", "Expired", "Superseded", "Failed")
        assert now == phase or now not in ended, (now, stand(space, name))
        return found if now == phase else None

    try:
        return eventually(look, seconds, f"{name} is {phase}")
    except AssertionError as error:
        raise AssertionError(f"{error}; {stand(space, name)}") from error


def served(space: Space) -> str:
    """The version that says so itself."""
    return str(space.ask("heart", "/v1/models/heart:predict", {"instances": [RECORD]})["model_version"])


def earlier(space: Space) -> int:
    """The version that served before."""
    [found] = [one["version"] for one in space.deployment("heart")["status"]["history"] if one["state"] == "Retired"]
    return int(found)


def audited(space: Space) -> list[tuple[str, str]]:
    """Kind and request of the rows of the operator's own audit that are about this model."""
    code = (
        "import json, sqlite3\n"
        "rows = sqlite3.connect('file:/var/lib/refit/audit.db?mode=ro', uri=True)"
        ".execute('SELECT kind, content FROM audit ORDER BY sequence').fetchall()\n"
        "print(json.dumps([(kind, json.loads(content)) for kind, content in rows]))"
    )
    told = space.cluster.run("exec", "deploy/refit-operator", "-n", SYSTEM, "--", "python", "-c", code)
    # The audit outlives namespaces: an earlier run of these tests had requests of the same names.
    uid = space.deployment("heart")["metadata"]["uid"]
    return [(kind, row["request"]) for kind, row in json.loads(told) if row["modelUid"] == uid]


def test_a_drift_is_repaired_by_a_person_who_has_only_kubectl(
    model: Space, alice: Person, bob: Person, rows: list[Row], forgotten: str
) -> None:
    assert forgotten
    asked = spoiled(drawn(rows, 600, seed=11), thalach=lambda value: max(55.0, value - 45))
    inference = send(model, "heart", asked)
    until(model, "heart", lambda found: found["rows"] == 600, "all rows are seen")
    # What was a sign of illness is now one of health: the model is wrong, and can be made right.
    turned = [
        {"id": inference, "row": place, "label": "0" if row["num"] != "0" else "1"} for place, row in enumerate(asked)
    ]
    assert labels(model, "heart", turned)["stored"] == len(turned)
    until(model, "heart", lambda found: found["quality"]["labelled"] == 600, "the labels are joined")
    [name] = eventually(
        lambda: (
            [one["metadata"]["name"] for one in requests(model, "heart") if one["spec"]["action"] == "Retrain"] or None
        ),
        60,
        "a retraining is proposed",
    )
    proposed = comes_to(model, name, "AwaitingApproval")
    impact = proposed["proposal"]["predictedImpact"]
    assert float(impact["now"]) < 0.5 < float(impact["low"]) <= float(impact["predicted"]) <= float(impact["high"])
    refused = bob.decide(model, name)
    assert (refused.returncode, "forbidden" in refused.stderr.lower()) == (1, True), refused
    first = served(model)
    done = alice.decide(model, name)
    assert done.returncode == 0, done.stderr
    found = comes_to(model, name, "Executed", 300)
    assert (found["outcome"]["result"], found["outcome"]["before"], found["execution"]["approvers"]) == (
        "Retrained",
        f"version {first}",
        ["alice"],
    )
    comparison = model.deployment("heart")["status"]["training"]["comparison"]
    assert (comparison["better"], float(comparison["low"]) > 0) == (True, True)
    assert found["outcome"]["after"] == f"version {served(model)}"
    assert [row for row in audited(model) if row[1] == name] == [("Intent", name), ("Outcome", name)]


def test_a_rollback_loses_no_request_and_holds(model: Space, alice: Person, bob: Person) -> None:
    bad, good = int(served(model)), earlier(model)
    with loaded(model, "heart", RECORD) as load:
        ask(model, bob, "back", "Rollback", {"toVersion": good})
        proposed = comes_to(model, "back", "AwaitingApproval")
        assert [one["version"] for one in proposed["proposal"]["ranking"]] == [good]
        assert alice.decide(model, "back").returncode == 0
        comes_to(model, "back", "Executed")
        eventually(lambda: counted(model, load)["answers"].get(str(good), 0) > 25, 60, "it answers for a while")
        seen = counted(model, load)
    assert (seen["failures"], set(seen["answers"])) == ([], {str(good), str(bad)})
    hold = model.deployment("heart")["status"]["hold"]
    assert (hold["request"], hold["version"]) == ("back", bad)


def test_a_rejection_is_told_and_escalated(model: Space, alice: Person, bob: Person) -> None:
    ask(model, bob, "no", "Rollback", {"toVersion": earlier(model)})
    comes_to(model, "no", "AwaitingApproval")
    assert alice.decide(model, "no", "Rejected", reason="not before the audit").returncode == 0
    found = comes_to(model, "no", "Rejected")
    told = {each["type"]: each["message"] for each in found["conditions"]}
    assert told["Escalated"] == "Rejected: ml-leads should look at this"
    assert told["Ready"] == "rejected by alice: not before the audit"


def test_what_is_approved_while_the_operator_is_away_is_done_once_however_often_it_is_killed(
    model: Space, alice: Person, bob: Person
) -> None:
    target = earlier(model)
    ask(model, bob, "away", "Rollback", {"toVersion": target})
    comes_to(model, "away", "AwaitingApproval")
    scale_operator(model, 0)
    assert alice.decide(model, "away").returncode == 0
    scale_operator(model, 1)
    for _ in range(4):
        kill_operator(model)
    comes_to(model, "away", "Executed")
    assert served(model) == str(target)
    assert [row for row in audited(model) if row[1] == "away"] == [("Intent", "away"), ("Outcome", "away")]


def test_a_change_in_between_supersedes(model: Space, alice: Person, bob: Person) -> None:
    before = served(model)
    ask(model, bob, "late", "Rollback", {"toVersion": earlier(model)})
    comes_to(model, "late", "AwaitingApproval")
    scale_operator(model, 0)
    assert alice.decide(model, "late").returncode == 0
    patch = json.dumps({"spec": {"remediation": {"approval": {"approvals": 2}}}})
    model.cluster.run("patch", "mdep", "heart", "-n", model.name, "--type=merge", "-p", patch)
    scale_operator(model, 1)
    comes_to(model, "late", "Superseded")
    assert served(model) == before
    patch = json.dumps({"spec": {"remediation": {"approval": {"approvals": 1}}}})
    model.cluster.run("patch", "mdep", "heart", "-n", model.name, "--type=merge", "-p", patch)


def test_two_that_are_approved_at_once_are_not_both_done(model: Space, alice: Person, bob: Person) -> None:
    target = earlier(model)
    ask(model, bob, "one", "Rollback", {"toVersion": target})
    ask(model, bob, "other", "Retrain")
    comes_to(model, "one", "AwaitingApproval")
    comes_to(model, "other", "AwaitingApproval")
    assert alice.decide(model, "one").returncode == 0
    assert alice.decide(model, "other").returncode == 0
    comes_to(model, "one", "Executed")
    comes_to(model, "other", "Superseded")
    assert served(model) == str(target)


def test_a_change_of_the_spec_is_made_by_who_may_approve_that_too(model: Space, alice: Person, bob: Person) -> None:
    ask(model, bob, "longer", "ChangeConfig", {"config": {"training.timeoutSeconds": "900"}})
    proposed = comes_to(model, "longer", "AwaitingApproval")
    assert proposed["proposal"]["change"] == [{"what": "spec.training.timeoutSeconds", "from": "1800", "to": "900"}]
    refused = alice.decide(model, "longer")
    assert "alice may not approve ChangeConfig of heart" in refused.stderr
    grant(model, "refit-approver-changeconfig", "alice")
    assert alice.decide(model, "longer").returncode == 0
    comes_to(model, "longer", "Executed")
    assert model.deployment("heart")["spec"]["training"]["timeoutSeconds"] == 900


def test_safe_actions_wait_for_nobody(model: Space, bob: Person) -> None:
    ask(model, bob, "fresh", "Restart")
    found = comes_to(model, "fresh", "Executed")
    assert found["outcome"]["result"] == "Restarted"
    assert [row for row in audited(model) if row[1] == "fresh"] == [("Intent", "fresh"), ("Outcome", "fresh")]


def test_more_pods_are_foretold_made_and_taken_back_without_a_failed_request(model: Space, bob: Person) -> None:
    with loaded(model, "heart", RECORD, pause=0.05) as load:
        ask(model, bob, "wider", "Scale", {"replicas": 2})
        found = comes_to(model, "wider", "Executed")
        ask(model, bob, "narrower", "Scale", {"replicas": 1})
        comes_to(model, "narrower", "Executed")
        seen = counted(model, load)
    impact = found["proposal"]["predictedImpact"]
    assert impact["metric"] == "latency_ms"
    assert 0 < float(impact["low"]) <= float(impact["predicted"]) <= float(impact["high"])
    assert float(impact["predicted"]) <= float(impact["now"]), "half as much for each pod to do"
    assert found["outcome"]["after"] == "2 replicas"
    assert seen["failures"] == []


def test_what_nobody_decided_expires(model: Space, forgotten: str) -> None:
    found = comes_to(model, forgotten, "Expired", 310)
    assert (found.get("execution"), model.deployment("heart")["spec"]["serving"]["maxReplicas"]) == (None, 2)
