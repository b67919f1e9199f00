"""What is decided from objects alone: undoing, explanations, calibration, completion, arguments."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from refit.api.conditions import ConditionStatus
from refit.api.objects import Model, Request, UnreadableError, model_of, request_of
from refit.api.proposal import ApprovalRule
from refit.api.reasons import ConditionType, Reason
from refit.api.remediationrequest import Action, RequestPhase
from refit.api.wanted import Impossible, Wanted
from refit.cli import advice
from refit.cli.arguments import parser
from refit.cli.ask import undoing
from refit.cli.calibration import Summary, measured, summaries
from refit.cli.completion import Names, candidates
from refit.cli.explain import of_model, of_request
from refit.cli.finding import paths
from refit.cli.services import Service
from refit.kube.answers import Me
from refit.kube.decisions import groups_that_matter

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
DIGEST = "sha256:" + "0" * 64


def model(history: Sequence[dict[str, Any]] = (), **status: Any) -> Model:
    metadata = {"name": "heart", "namespace": "shop", "uid": "u", "creationTimestamp": "2026-11-01T00:00:00Z"}
    spec = {
        "data": {"source": {"uri": "sample://heart-disease"}, "target": {"column": "num"}},
        "training": {"candidates": [{"algorithm": "XGBoost"}]},
    }
    found = {
        "kind": "ModelDeployment",
        "metadata": metadata,
        "spec": spec,
        "status": {"history": list(history), **status},
    }
    return model_of(found)


def version(
    number: int, state: str, since: str | None = None, until: str | None = None, by: str | None = None
) -> dict[str, Any]:
    artifact = {"uri": "http://mlflow/x", "sha256": str(number) * 64}
    found = {
        "version": number,
        "state": state,
        "key": "k",
        "specHash": "s",
        "artifact": artifact,
        "golden": artifact,
        "algorithm": "XGBoost",
        "metric": "f1",
        "value": "0.8",
        "runId": "r",
        "dataSha256": "0" * 64,
        "createTime": "2026-11-01T00:00:00Z",
        "since": since,
        "until": until,
        "request": by,
    }
    return {name: value for name, value in found.items() if value is not None}


def request(name: str, action: str = "Retrain", parameters: dict[str, Any] | None = None, **status: Any) -> Request:
    metadata = {
        "name": name,
        "namespace": "shop",
        "uid": name,
        "resourceVersion": "1",
        "creationTimestamp": "2026-11-21T10:00:00Z",
    }
    spec = {
        "targetRef": {"name": "heart", "uid": "u"},
        "action": action,
        "parameters": parameters or {},
        "trigger": {"type": "Human"},
        "requestedBy": "alice",
        **status.pop("spec", {}),
    }
    return request_of({"kind": "RemediationRequest", "metadata": metadata, "spec": spec, "status": status})


def done(name: str, action: str, result: str, at: str, *, parameters: dict[str, Any] | None = None, from_version: int | None = None, change: Sequence[dict[str, str]] = ()) -> Request:  # fmt: skip
    execution = {"startTime": at, "doneTime": at, "digest": DIGEST} | (
        {"fromVersion": from_version} if from_version else {}
    )
    proposal = {"digest": DIGEST, "text": "", "change": list(change)}
    return request(
        name, action, parameters, phase="Executed", execution=execution, outcome={"result": result}, proposal=proposal
    )


TWO = [
    version(1, "Retired", "2026-11-02T00:00:00Z", "2026-11-10T00:00:00Z"),
    version(2, "Serving", "2026-11-10T00:00:00Z", by="r"),
]
BACK = [
    version(1, "Serving", "2026-11-12T00:00:00Z", by="b"),
    version(2, "Retired", "2026-11-10T00:00:00Z", "2026-11-12T00:00:00Z"),
]


@pytest.mark.parametrize(
    ("history", "requests", "wanted"),
    [
        pytest.param(TWO, [done("r", "Retrain", "Retrained", "2026-11-10T00:00:00Z", from_version=1)], ("Rollback", {"toVersion": 1}, "takes back r (Retrain), by undo"), id="a retraining is rolled back"),
        pytest.param(BACK, [done("b", "Rollback", "RolledBack", "2026-11-12T00:00:00Z", parameters={"toVersion": 1}, from_version=2)], ("Promote", {"toVersion": 2}, "takes back b (Rollback to 1), by undo"), id="a rollback is taken back by promoting what it left"),
        pytest.param(TWO, [done("s", "Scale", "Scaled", "2026-11-11T00:00:00Z", parameters={"replicas": 4}, change=[{"what": "replicas", "from": "2", "to": "4"}])], ("Scale", {"replicas": 2}, "takes back s (Scale to 4), by undo"), id="replicas go back to how many there were"),
        pytest.param(TWO, [done("c", "ChangeConfig", "ConfigChanged", "2026-11-11T00:00:00Z", parameters={"config": {"training.folds": "3"}}, change=[{"what": "spec.training.folds", "from": "5", "to": "3"}])], ("ChangeConfig", {"config": {"training.folds": "5"}}, "takes back c (ChangeConfig), by undo"), id="a field goes back to what it was"),
        pytest.param(TWO, [], ("Rollback", {"toVersion": 1}, "takes back version 2, by undo"), id="a version that came by its spec is rolled back"),
        pytest.param(TWO, [done("old", "Scale", "Scaled", "2026-11-05T00:00:00Z", parameters={"replicas": 4})], ("Rollback", {"toVersion": 1}, "takes back version 2, by undo"), id="the newest change counts, with or without a request"),
        pytest.param(TWO, [done("x", "Restart", "Restarted", "2026-11-11T00:00:00Z")], "the last change, x (Restart: Restarted), leaves nothing to take back", id="a restart can not be taken back"),
        pytest.param(TWO, [done("c", "ChangeConfig", "ConfigChanged", "2026-11-11T00:00:00Z", parameters={"config": {"training.schedule": "0 3 * * 1"}}, change=[{"what": "spec.training.schedule", "to": "0 3 * * 1"}])], "the last change, c (ChangeConfig: ConfigChanged), leaves nothing to take back", id="a field that was not there before"),
        pytest.param(TWO, [done("r", "Retrain", "Retrained", "2026-11-11T00:00:00Z", from_version=2)], "the last change, r (Retrain: Retrained), leaves nothing to take back", id="a retraining that waits for its promotion changed nothing yet"),
        pytest.param(TWO[1:], [done("r", "Retrain", "Retrained", "2026-11-10T00:00:00Z", from_version=1)], "r came from version 1, which can not serve again: version 1 of heart is not in its history; versions that can be promoted: none", id="a version that is no longer kept"),
        pytest.param([], [], "nothing was changed on heart that could be taken back", id="a model that never served"),
    ],
)  # fmt: skip
def test_undo(
    history: list[dict[str, Any]], requests: list[Request], wanted: tuple[str, dict[str, Any], str] | str
) -> None:
    found = undoing(model(history), requests)
    if isinstance(wanted, str):
        assert found == Impossible(wanted)
    else:
        assert isinstance(found, Wanted)
        assert (found.action, found.parameters.wire(), found.note) == wanted


# Explanations


def command(*words: str) -> str:
    return " ".join(("kubectl refit", *words))


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-21T10:00:00Z",
    }


SERVED = {"version": 2, "artifact": {"uri": "http://x", "sha256": "0" * 64}, "since": "2026-11-10T00:00:00Z"}


@pytest.mark.parametrize(
    ("status", "sentences", "todo"),
    [
        pytest.param(
            {},
            ["The operator has not looked at heart yet."],
            ["kubectl -n refit-system get deployment refit-operator", "kubectl refit doctor"],
            id="nobody has looked",
        ),
        pytest.param(
            {"serving": SERVED, "metric": "f1 0.8", "conditions": [condition("Ready", "True", "Serving", "version 2 serves")]},
            ["heart is ready for 3h: what is declared is what serves.", "Version 2 (f1 0.8) has served since 2026-11-10T00:00:00Z."],
            [],
            id="all is well",
        ),
        pytest.param(
            {"conditions": [condition("Ready", "False", "BelowBound", "f1 0.61 is below 0.75"), condition("Stalled", "True", "BelowBound", "f1 0.61 is below 0.75"), condition("Available", "False", "NotYetServed", "no version has served yet")]},
            ["heart is not ready for 3h, and a person must act (BelowBound): f1 0.61 is below 0.75.", "No version serves.", "Nobody answers: no version has served yet."],
            ["kubectl -n shop edit mdep heart   # better data, other candidates, or a lower spec.training.selection.minimum"],
            id="a person must act",
        ),
        pytest.param(
            {"serving": SERVED, "conditions": [condition("Ready", "False", "Training", "Job heart-train-1 runs."), condition("Reconciling", "True", "Training", "x")]},
            ["heart is not ready for 3h, and Refit is at work on it (Training): Job heart-train-1 runs.", "Version 2 has served since 2026-11-10T00:00:00Z."],
            ["kubectl -n shop logs -l refit.dev/deployment=heart,refit.dev/role=trainer --tail 50"],
            id="Refit is at work",
        ),
        pytest.param(
            {
                "serving": SERVED,
                "conditions": [condition("ApprovalGuard", "False", "Unguarded", "no policy"), condition("Frozen", "True", "Frozen", "alice: quarter end"), condition("Ready", "True", "Serving", "")],
                "hold": {"request": "b", "version": 3, "specHash": "s", "since": "2026-11-10T00:00:00Z"},
                "override": {"replicas": 4, "replicasRequest": "s"},
            },
            [
                "heart is ready for 3h: what is declared is what serves.",
                "Version 2 has served since 2026-11-10T00:00:00Z.",
                "Nothing risky is carried out, for approvals are not guarded: no policy.",
                "Nothing is carried out now: alice: quarter end.",
                "It is held since b took version 3 back: nothing is trained or deployed by itself until the spec asks for another model or a person approves one.",
                "It has 4 replicas by s, not those of its spec.",
            ],
            ["kubectl refit doctor", "kubectl refit unfreeze -n shop   # or without -n, if all are frozen"],
            id="what holds repairs up, and what a person changed",
        ),
        pytest.param(
            {"conditions": [condition("Ready", "False", "ColumnMissing", "column 'num' is missing")]},
            ["heart is not ready for 3h, and Refit is at work on it (ColumnMissing): column 'num' is missing.", "No version serves."],
            ["kubectl -n shop edit mdep heart   # or mend the data; the message says what"],
            id="a reason of the trainer's",
        ),
    ],
)  # fmt: skip
def test_a_model_is_explained(status: dict[str, Any], sentences: list[str], todo: list[str]) -> None:
    found = of_model(model(**status), [], NOW, command)
    assert (list(found.sentences), list(found.todo)) == (sentences, todo)


@pytest.mark.parametrize("phase", [pytest.param(phase, id=str(phase)) for phase in RequestPhase])
@pytest.mark.parametrize("action", [pytest.param(action, id=str(action)) for action in Action])
def test_every_request_is_explained(phase: RequestPhase, action: Action) -> None:
    given: dict[str, dict[str, Any]] = {
        "Rollback": {"toVersion": 1},
        "Promote": {"toVersion": 1},
        "Scale": {"replicas": 2},
    }
    found = of_request(request("r", action, given.get(action), phase=phase), model(), NOW, command)
    assert found.sentences[0].endswith("; alice asked 3h ago.")
    assert "None" not in found.sentences[0]
    assert found.sentences[-1] == f"{phase}: {advice.PHASES[phase]}."
    assert found.todo


def test_every_reason_has_its_advice() -> None:
    assert set(advice.WHAT_TO_DO) == set(Reason)
    assert {kind for kind, _ in advice.SENTENCES} <= set(ConditionType)
    assert {status for _, status in advice.SENTENCES} <= set(ConditionStatus)
    assert set(advice.TROUBLES) <= set(advice.SENTENCES)


# Calibration


def predicted(
    name: str, metric: str, value: str, low: str, high: str, after: str | None, *, inside: bool | None = None
) -> Request:
    impact = {"metric": metric, "now": "0.5", "predicted": value, "low": low, "high": high, "method": "trial"}
    real = {"metric": metric, "before": "0.5", "after": after, "rows": 9} | (
        {} if inside is None else {"inside": inside}
    )
    outcome: dict[str, Any] = {"outcome": {"result": "Retrained", "realisedImpact": real}} if after is not None else {}
    return request(
        name, phase="Executed", proposal={"digest": DIGEST, "text": "", "predictedImpact": impact}, **outcome
    )


def test_calibration_counts_what_was_predicted_and_measured() -> None:
    rows = measured(
        [
            predicted("a", "f1", "0.8", "0.75", "0.85", "0.8"),
            predicted("b", "f1", "0.8", "0.75", "0.85", "0.7"),
            predicted("c", "f1", "0.8", "0.75", "0.85", "0.9", inside=True),
            predicted("d", "rmse", "3.0", "2.5", "3.5", "3.25"),
            predicted("e", "f1", "0.8", "0.75", "0.85", None),
            request("f", phase="Executed"),
        ]
    )
    assert [(one.request, one.inside, round(one.error, 9)) for one in rows] == [
        ("a", True, 0.0),
        ("b", False, -0.1),
        ("c", True, 0.1),
        ("d", True, 0.25),
    ]
    f1, rmse = summaries(rows)
    assert (f1.metric, f1.count, f1.held, round(f1.mean_error, 9), round(f1.mean_absolute_error, 9)) == (
        "f1",
        3,
        2,
        0.0,
        round(0.2 / 3, 9),
    )
    assert rmse == Summary(metric="rmse", count=1, held=1, mean_error=0.25, mean_absolute_error=0.25)


# Completion and arguments


def names(of: Names, before: Sequence[str]) -> Iterable[str]:
    del before
    return {Names.MODEL: ["heart", "lung"], Names.REQUEST: ["heart-x"], Names.EITHER: ["heart", "heart-x", "lung"]}[of]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        pytest.param(["re"], ["reject", "replay", "report", "requests", "retrain"], id="a command"),
        pytest.param(["status", ""], ["heart", "lung"], id="a model"),
        pytest.param(["approve", "h"], ["heart-x"], id="a request"),
        pytest.param(["explain", "heart"], ["heart", "heart-x"], id="either"),
        pytest.param(["status", "heart", ""], [], id="nothing more"),
        pytest.param(["status", "-n", "shop", "l"], ["lung"], id="behind an option with its value"),
        pytest.param(["status", "-A", "l"], ["lung"], id="behind an option without one"),
        pytest.param(["status", "-o", ""], ["json", "table", "yaml"], id="a value out of some"),
        pytest.param(["trace", "-m", ""], ["heart", "lung"], id="an option's value that is a name"),
        pytest.param(["status", "-n", ""], [], id="an option's value that nobody knows"),
        pytest.param(["approve", "--rea"], ["--reason"], id="an option"),
        pytest.param(["report", ""], ["heart", "lung"], id="the name of a model where another word is taken, too"),
        pytest.param(["frobnicate", ""], [], id="a command that there is not"),
        pytest.param([], sorted({"approve", "audit", "completion", "diff", "doctor", "explain", "freeze", "history", "promote", "reject", "replay", "report", "requests", "retrain", "rollback", "status", "trace", "undo", "unfreeze", "verify"}), id="nothing yet"),
    ],
)  # fmt: skip
def test_completion(words: list[str], found: list[str]) -> None:
    assert candidates(parser(), words, names) == found


def test_the_console_scripts_are_there() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) == {"kubectl-refit", "kubectl_complete-refit"}
    for target in scripts.values():
        module, _, function = target.partition(":")
        assert callable(getattr(import_module(module), function))


# Small parts


@pytest.mark.parametrize(
    ("groups", "required", "found"),
    [
        pytest.param(["system:authenticated"], None, (), id="what everybody is in does not matter"),
        pytest.param(["b", "a", "a", "system:authenticated"], None, ("a", "b"), id="each once"),
        pytest.param([f"g{n:02}" for n in range(30)] + ["z"], "z", ("z", *(f"g{n:02}" for n in range(15))), id="the required one first, and no more than fit"),
        pytest.param(["x" * 257], None, (), id="one that does not fit"),
    ],
)  # fmt: skip
def test_groups_that_matter(groups: list[str], required: str | None, found: tuple[str, ...]) -> None:
    assert groups_that_matter(Me(name="alice", groups=tuple(groups)), ApprovalRule(required_group=required)) == found


@pytest.mark.parametrize(
    ("url", "path"),
    [
        pytest.param("http://mlflow.refit-system.svc:5000", "/api/v1/namespaces/refit-system/services/http:mlflow:5000/proxy", id="a Service"),
        pytest.param("http://mlflow.refit-system", "/api/v1/namespaces/refit-system/services/http:mlflow:80/proxy", id="in short"),
        pytest.param("http://mlflow.a.svc.cluster.local:80/base/", "/api/v1/namespaces/a/services/http:mlflow:80/proxy/base", id="in full, with a path"),
        pytest.param("http://mlflow.example.com:5000", None, id="a name of the world outside"),
        pytest.param("https://mlflow.a.svc:5000", None, id="with a certificate that nobody here can check"),
        pytest.param("http://mlflow:5000", None, id="without a namespace"),
    ],
)  # fmt: skip
def test_the_path_of_a_service_behind_the_api_server(url: str, path: str | None) -> None:
    assert Service(name="MLflow", url=url).proxied() == path


def test_the_fields_of_a_schema() -> None:
    schema: dict[str, Any] = {
        "properties": {
            "a": {"items": {"properties": {"b": {}}}},
            "c": {"additionalProperties": {"properties": {"d": {}}}},
        }
    }
    assert paths(schema) == {"a", "a[].b", "c", "c[].d"}


def test_an_object_of_another_version_is_told_by_its_field() -> None:
    with pytest.raises(UnreadableError) as refusal:
        request("r", phase="Sleeping")
    assert str(refusal.value).startswith("RemediationRequest r: phase: Input should be 'Pending'")
    assert str(refusal.value).endswith("; the plugin and the cluster may be of different versions")


def test_the_plugin_needs_what_its_extra_installs_and_words_alone_not_even_that() -> None:
    asked = "import sys, {}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"

    def loaded(*modules: str) -> set[str]:
        done = subprocess.run([sys.executable, "-c", asked.format(", ".join(modules))], capture_output=True, check=True)
        return set(done.stdout.decode().split())

    operators_own = {"kopf", "cronsim", "prometheus_client", "pydantic_settings", "sqlalchemy"}
    assert loaded("refit.cli.__main__") & {"kubernetes", "aiohttp", *operators_own} == set()
    assert loaded("refit.cli.__main__", "refit.kube.person") & operators_own == set()
