"""`kubectl refit` run in this process as somebody whom a live API server knows, and a team's models and requests to run it on.

All times of that world are counted from when the tests began, and the plugin's clock stands still: what it prints is
the same in every run, once `documented` has put the times of the documentation in.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from guarded import OPERATOR, PEOPLE, REQUESTS, TEAM, Guarded, approvals, yes
from refit.api import meta
from refit.api.measured import FeatureDrift, LastMeasurement, Verdict
from refit.api.times import moment, stamp
from refit.cli.__main__ import run
from refit.cli.terminal import Terminal
from refit.core.diagnosis import diagnose

Manifest = dict[str, Any]
MODELS = f"/apis/{meta.API_VERSION}/namespaces/{TEAM}/{meta.DEPLOYMENTS}"
BEGAN = datetime.now(UTC).replace(microsecond=0)
NOW = BEGAN + timedelta(hours=3, minutes=59)
"""The plugin's clock: what the tests make is three hours old to it."""
DOCUMENTED = moment("2026-11-21T13:00:00Z")
"""What the documentation has in place of `BEGAN`."""
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MADE_UP = re.compile(r"\b(heart-(?:retrain|rollback|promote)-)[a-z0-9]{5}\b")
"""Names that the API server completes."""
OPEN, DONE = "heart-retrain-5c1e07aa", "heart-retrain-1b2c3d4e"
DIGEST, EARLIER = "sha256:" + "5c1e07aa" * 8, "sha256:" + "1b2c3d4e" * 8
LAST = LastMeasurement(
    key="a1b2c3",
    time=stamp(BEGAN - timedelta(hours=1)),
    verdict=Verdict.DRIFT,
    rows=412,
    version=3,
    message="2 of 13 columns have drifted",
    features=(
        FeatureDrift(column="thalach", method="ks", effect="0.71", p_value="1e-12"),
        FeatureDrift(column="chol", method="ks", effect="0.22", p_value="0.0004"),
    ),
    drifted=2,
    measured=13,
)
DIAGNOSIS = diagnose(None, LAST, ())
assert DIAGNOSIS is not None  # the world is as it is written
IMPACT = {"metric": "f1", "now": "0.71", "predicted": "0.82", "low": "0.77", "high": "0.86", "method": "trial training"}


def ago(hours: float) -> str:
    """So many hours before the tests began."""
    return stamp(BEGAN - timedelta(hours=hours))


@dataclass(frozen=True)
class Said:
    """What a run of the plugin printed, and its exit code."""

    code: int
    out: str
    err: str


def documented(text: str) -> str:
    """With the times and the made-up names that the documentation has."""
    shift = DOCUMENTED - BEGAN
    text = STAMP.sub(lambda found: stamp(moment(found[0]) + shift), text)
    return MADE_UP.sub(r"\1x7k2p", text)


def kubeconfig(plane: Guarded, user: str, namespace: str = TEAM) -> Path:
    """That of somebody in `guarded.PEOPLE`, whose context names the namespace."""
    known = PEOPLE[user]
    path = plane.plane.kubeconfig_for(user, *known.groups)
    found = yaml.safe_load(path.read_text())
    found["contexts"][0]["context"]["namespace"] = namespace
    path.write_text(yaml.safe_dump(found))
    return path


class Plugin:
    """Runs commands as anybody."""

    def __init__(self, plane: Guarded) -> None:
        self.plane = plane
        self.renamed: dict[str, str] = {}
        """What others made up, such as the ids of runs, and what the documentation has in its place."""

    def __call__(
        self,
        user: str,
        *words: str,
        answer: Any = None,
        colours: bool = False,
        now: datetime | None = NOW,
    ) -> Said:
        """`answer` is what is typed at the question, or what gives it; without one nobody sits at a terminal."""
        out, err = io.StringIO(), io.StringIO()

        def ask(prompt: str) -> str:
            typed = str(answer() if callable(answer) else answer)
            out.write(f"{prompt}{typed}\n")
            return typed

        terminal = Terminal(out=out, err=err, ask=None if answer is None else ask, colours=colours)
        own = [] if "--kubeconfig" in words else ["--kubeconfig", str(kubeconfig(self.plane, user))]
        code = run([*words, *own], terminal, lambda: now or datetime.now(UTC))
        return Said(code, self._documented(out.getvalue()), self._documented(err.getvalue()))

    def _documented(self, text: str) -> str:
        for made_up, name in self.renamed.items():
            text = text.replace(made_up, name)
        return documented(text)


def record(version: int, state: str, value: str, **more: Any) -> Manifest:
    """A version in a model's history."""
    digit = str(version)
    return {
        "version": version,
        "state": state,
        "key": f"key{version}",
        "specHash": "0a1b2c3d4e",
        "artifact": {"uri": f"http://mlflow.refit-system.svc:5000/v{version}/model.onnx", "sha256": digit * 64},
        "golden": {"uri": f"http://mlflow.refit-system.svc:5000/v{version}/golden.json", "sha256": digit * 64},
        "algorithm": "XGBoost",
        "metric": "f1",
        "value": value,
        "runId": f"run{version}",
        "dataSha256": digit * 64,
        "createTime": ago(100 - 10 * version),
        **more,
    }


HISTORY = [
    record(1, "Retired", "0.807018", since=ago(89), until=ago(30), reason="first training", algorithm="LogisticRegression"),
    record(2, "Failed", "0.812345", reason="the schedule", message="GoldenMismatch: 2 of 16 answers differ"),
    record(3, "Serving", "0.835616", since=ago(30), reason=f"Retrain by request {DONE}", request=DONE),
]  # fmt: skip


def condition(kind: str, status: str, reason: str, message: str, hours: float = 1) -> Manifest:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": ago(hours),
    }


MODEL_STATUS: Manifest = {
    "observedGeneration": 1,
    "conditions": [
        condition("Available", "True", "Serving", "XGBoost version 3", 30),
        condition("Diagnosed", "True", "Drift", "Drift, severity 0.73: Retrain is proposed"),
        condition("Drifted", "True", "Drift", "2 of 13 columns: thalach 0.71, chol 0.22"),
        condition("Ready", "True", "Serving", "version 3 serves", 30),
    ],
    "serving": {"version": 3, "artifact": HISTORY[2]["artifact"], "since": ago(30)},
    "url": "http://heart-predictor.team-a.svc",
    "metric": "f1 0.835616",
    "drift": "2 of 13",
    "history": HISTORY,
    "openRequests": [OPEN],
    "lastMeasurement": LAST.wire(),
}
REMEDIATION = {"policy": "seed-visual", "mode": "Act"}


def model(name: str, **remediation: Any) -> Manifest:
    return {
        "apiVersion": meta.API_VERSION,
        "kind": meta.DEPLOYMENT_KIND,
        "metadata": {"name": name, "namespace": TEAM},
        "spec": {
            "data": {"source": {"uri": "sample://heart-disease"}, "target": {"column": "num", "positiveWhen": "> 0"}},
            "training": {"candidates": [{"algorithm": "XGBoost"}]},
            "remediation": {**REMEDIATION, **remediation},
        },
    }


def request(name: str, note: str) -> Manifest:
    """One that the operator makes of its diagnosis."""
    return {
        "apiVersion": meta.API_VERSION,
        "kind": meta.REQUEST_KIND,
        "metadata": {"name": name, "namespace": TEAM, "labels": {meta.LABEL_DEPLOYMENT: "heart"}},
        "spec": {
            "targetRef": {"name": "heart"},
            "action": "Retrain",
            "trigger": {"type": "Drift", "measurement": LAST.key, "features": ["thalach", "chol"]},
            "requestedBy": OPERATOR,
            "note": note,
        },
    }


def asking(digest: str = DIGEST, **more: Any) -> Manifest:
    """The status of a request that waits for a person."""
    assert DIAGNOSIS is not None  # as above
    return {
        "status": {
            "observedGeneration": 1,
            "phase": "AwaitingApproval",
            "conditions": [condition("Ready", "False", "AwaitingApproval", "0 of 1 approvals")],
            "diagnosis": DIAGNOSIS.wire(),
            "proposal": {
                "digest": digest,
                "text": "Retrain heart: thalach and chol have drifted",
                "change": [
                    {"what": "served version", "from": "version 3", "to": "a newly trained version, if it is better"}
                ],
                "predictedImpact": dict(IMPACT),
                "approval": {"approvals": 1},
                "expiresAt": stamp(BEGAN + timedelta(hours=24)),
            },
            **more,
        }
    }


def executed() -> Manifest:
    """The status of a request that was carried out and measured after."""
    status = asking(EARLIER)["status"]
    proposal = status["proposal"] | {
        "change": [{"what": "served version", "from": "version 1", "to": "a newly trained version, if it is better"}]
    }
    return {
        "status": status
        | {
            "phase": "Executed",
            "proposal": proposal,
            "conditions": [condition("Ready", "True", "Executed", "version 3 serves", 30)],
            "decisionsSeen": {"alice": ago(31)},
            "execution": {
                "startTime": ago(31),
                "digest": EARLIER,
                "approvers": ["alice"],
                "fromVersion": 1,
                "doneTime": ago(30),
            },
            "outcome": {
                "result": "Retrained",
                "before": "version 1",
                "after": "version 3",
                "realisedImpact": {"metric": "f1", "before": "0.71", "after": "0.79", "rows": 388, "inside": True},
            },
        }
    }


def renew(plane: Guarded, name: str, digest: str = DIGEST, note: str = "", **more: Any) -> str:
    """A request of the operator's that waits for a person; its path."""
    note = note or "Drift, severity 0.73 (seed-visual/high/Drift)"
    plane.operator.create(REQUESTS, request(name, note)).accepted()
    plane.write_status(f"{REQUESTS}/{name}", asking(digest, **more))
    return f"{REQUESTS}/{name}"


def furnish(plane: Guarded) -> None:
    """The models heart, lung (which nobody has looked at) and liver (which only observes), and two requests about heart.

    Whatever was there before is gone.
    """
    for place in (REQUESTS, MODELS):
        plane.admin.delete(place).accepted()
    for one in (model("heart"), model("lung"), model("liver", mode="Observe")):
        plane.admin.create(MODELS, one).accepted()
    plane.admin.merge(f"{MODELS}/heart/status", {"status": MODEL_STATUS}).accepted()
    plane.admin.merge(f"{MODELS}/liver/status", {"status": {**MODEL_STATUS, "openRequests": None}}).accepted()
    for name, digest in ((DONE, EARLIER), (OPEN, DIGEST)):
        renew(plane, name, digest)
    entry = approvals({"alice": yes(EARLIER, reason="drift is real")})
    plane.who("alice").merge(f"{REQUESTS}/{DONE}/status", entry).accepted()
    plane.write_status(f"{REQUESTS}/{DONE}", executed())
