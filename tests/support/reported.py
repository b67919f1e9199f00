"""Orders of reports and what was measured, as tests and the benchmark of reports have them drawn."""

from __future__ import annotations

from typing import Any

from refit.api.orders import ReportOrder
from refit.api.reports import ReportKind
from refit.report.measured import Measured, of_record

SHA = {name: name * 64 for name in "abcdef0123456789"}
PROPOSED = "sha256:" + "5c1e07aa" * 8
COLUMNS = (
    ("thalach", "KS", 0.71, 0.10, 1e-12, 2.31),
    ("oldpeak", "KS", 0.58, 0.10, 3e-9, 1.02),
    ("cp", "TVD", 0.31, 0.10, 0.0004, 0.44),
    ("age", "KS", 0.08, 0.10, 0.21, 0.04),
    ("chol", "KS", 0.07, 0.10, 0.33, 0.03),
    ("trestbps", "KS", 0.06, 0.10, 0.41, 0.02),
    ("thal", "TVD", 0.05, 0.10, 0.62, 0.02),
    ("ca", "TVD", 0.04, 0.10, 0.77, 0.01),
    ("slope", "TVD", 0.03, 0.10, 0.81, 0.01),
    ("sex", "TVD", 0.02, 0.10, 0.9, 0.0),
    ("restecg", "TVD", 0.02, 0.10, 0.95, 0.0),
    ("exang", "TVD", 0.01, 0.10, 1.0, 0.0),
    ("fbs", "TVD", 0.01, 0.10, 1.0, 0.0),
)


def version(number: int, **changes: Any) -> dict[str, Any]:
    """A version as a status holds it."""
    base = f"http://mlflow.refit-system.svc:5000/api/2.0/mlflow-artifacts/artifacts/1/run{number}/artifacts"
    digit = str(number % 10)
    return {
        "version": number,
        "state": "Retired",
        "key": f"key{number}",
        "specHash": "5f0c6d1a2b",
        "artifact": {"uri": f"{base}/model.onnx", "sha256": SHA[digit]},
        "golden": {"uri": f"{base}/golden.json", "sha256": SHA["e"]},
        "profile": {"uri": f"{base}/profile.json", "sha256": SHA["f"]},
        "algorithm": "LogisticRegression",
        "metric": "f1",
        "value": f"0.8{number}",
        "runId": f"{digit * 32}",
        "dataSha256": SHA["d"],
        "reason": "first training",
        "createTime": f"2026-11-{10 + number}T08:00:00Z",
        "since": f"2026-11-{10 + number}T08:10:00Z",
        "until": f"2026-11-{11 + number}T08:10:00Z",
        **changes,
    }


VERSIONS = [
    version(1),
    version(2, reason="schedule 0 3 * * 1"),
    version(
        3,
        state="Serving",
        algorithm="XGBoost",
        value="0.86",
        until=None,
        request="heart-retrain-5c1e07aa",
        reason="request heart-retrain-5c1e07aa",
    ),
]
COMPARISON = {
    "metric": "f1",
    "champion": "0.71",
    "challenger": "0.82",
    "low": "0.05",
    "high": "0.16",
    "rows": 303,
    "better": True,
    "method": "paired bootstrap on the same rows",
}
TRAINING = {
    "key": "key3",
    "specHash": "5f0c6d1a2b",
    "job": "heart-train-key3-1",
    "phase": "Succeeded",
    "cause": "request heart-retrain-5c1e07aa",
    "startTime": "2026-11-13T07:58:00Z",
    "completionTime": "2026-11-13T08:00:00Z",
    "message": "XGBoost was chosen from 4 candidates",
    "runId": "3" * 32,
    "rows": 715,
    "dataSha256": SHA["d"],
    "dataValid": True,
    "dataMessage": "7 checks passed",
    "metrics": {"accuracy": "0.84", "precision": "0.85", "recall": "0.87", "f1": "0.86", "roc_auc": "0.91"},
    "request": "heart-retrain-5c1e07aa",
    "comparison": COMPARISON,
    "shadow": {"requests": 412, "differing": 61, "failed": 0},
}
MEASUREMENT = {
    "key": "a1b2c3d4e5",
    "time": "2026-11-13T07:30:00Z",
    "verdict": "Drift",
    "rows": 412,
    "version": 2,
    "since": "2026-11-12T07:30:00Z",
    "until": "2026-11-13T07:30:00Z",
    "message": "3 of 13 inputs drifted in 412 rows: thalach (KS 0.71), oldpeak (KS 0.58), cp (TVD 0.31)",
    "features": [
        {"column": name, "method": method, "effect": str(effect), "pValue": str(p)}
        for name, method, effect, _, p, _ in COLUMNS[:3]
    ],
    "drifted": 3,
    "measured": 13,
    "dataQuality": {"valid": True, "score": "98.2", "message": ""},
    "queries": [{"name": "p99 latency", "value": "0.031", "breached": False, "message": "seconds"}],
}
RECORD = {
    "key": "a1b2c3d4e5",
    "time": "2026-11-13T07:30:00Z",
    "namespace": "clinic",
    "model": "heart",
    "version": 2,
    "since": "2026-11-12T07:30:00Z",
    "until": "2026-11-13T07:30:00Z",
    "rows": 412,
    "verdict": "Drift",
    "message": MEASUREMENT["message"],
    "columns": [
        {
            "column": name,
            "type": "Number",
            "method": method,
            "effect": effect,
            "threshold": threshold,
            "pValue": p / 13,
            "pAdjusted": p,
            "drifted": effect >= threshold,
            "missing": 0.0,
            "statistics": {"psi": psi},
            "note": "",
        }
        for name, method, effect, threshold, p, psi in COLUMNS
    ],
    "prediction": [
        {
            "column": "probability.1",
            "method": "KS",
            "effect": 0.24,
            "threshold": 0.1,
            "pAdjusted": 0.0002,
            "drifted": True,
        }
    ],
    "dataQuality": {"valid": True, "score": 98.2, "problems": []},
    "quality": {
        "verdict": "Low",
        "labelled": 187,
        "coverage": 0.45,
        "metrics": {"f1": 0.71, "accuracy": 0.74},
        "bounds": [{"metric": "f1", "value": 0.71, "low": 0.66, "high": 0.74, "minimum": 0.75, "missed": True}],
        "message": "",
    },
}
REQUEST = {
    "name": "heart-retrain-5c1e07aa",
    "uid": "7b4b9a9e-0000-4000-8000-0000000000aa",
    "created": "2026-11-13T07:31:00Z",
    "spec": {
        "targetRef": {"name": "heart", "uid": "7b4b9a9e-0000-4000-8000-000000000001"},
        "action": "Retrain",
        "trigger": {
            "type": "Alert",
            "measurement": "a1b2c3d4e5",
            "features": ["thalach", "oldpeak", "cp"],
            "alerts": [{"name": "RefitDataDrift", "fingerprint": "c0ffee12", "startsAt": "2026-11-13T07:30:30Z"}],
        },
        "requestedBy": "system:serviceaccount:refit-system:refit-operator",
        "note": "Drift, severity 0.71 (seed-visual/high/Drift)",
    },
    "status": {
        "phase": "AwaitingApproval",
        "diagnosis": {
            "class": "Drift",
            "severity": "0.71",
            "rules": ["feature-drift", "quality-low"],
            "reasoning": "feature-drift(thalach: effect=0.71, p=1e-12, rows=412) = 0.94 * 0.71",
        },
        "proposal": {
            "digest": PROPOSED,
            "text": "Retrain heart on the source and 412 logged requests: thalach drifted (0.71) and F1 fell to 0.71",
            "change": [
                {
                    "what": "served version",
                    "from": "version 2",
                    "to": "the version that is trained, if it passes the gate",
                },
                {"what": "training data", "from": "303 rows of the source", "to": "the source and 412 logged requests"},
            ],
            "window": {"since": "2026-11-12T07:31:00Z", "until": "2026-11-13T07:31:00Z"},
            "predictedImpact": {
                "metric": "f1",
                "now": "0.71",
                "predicted": "0.82",
                "low": "0.77",
                "high": "0.86",
                "method": "a trial training on 187 labelled requests",
            },
            "approval": {"approvals": 2, "requiredGroup": "ml-approvers", "requesterMayApprove": False},
            "expiresAt": "2026-11-14T07:31:00Z",
        },
        "estimate": {
            "job": "heart-impact-12345678",
            "phase": "Ended",
            "window": {"since": "2026-11-12T07:31:00Z", "until": "2026-11-13T07:31:00Z"},
            "startTime": "2026-11-13T07:31:05Z",
        },
    },
}
DONE = {
    **REQUEST,
    "status": {
        **REQUEST["status"],  # type: ignore[dict-item]  # a literal of our own
        "phase": "Executed",
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Executed",
                "message": "version 3 serves in place of version 2; it was watched for 30 minutes",
                "lastTransitionTime": "2026-11-13T08:42:00Z",
            },
            {
                "type": "Approved",
                "status": "True",
                "reason": "Approved",
                "message": "approved by alice and carol",
                "lastTransitionTime": "2026-11-13T07:55:00Z",
            },
        ],
        "approvals": {
            "alice@example.com": {
                "decision": "Approved",
                "proposalDigest": PROPOSED,
                "reason": "The ward changed its monitors last week.",
                "groups": ["ml-approvers"],
            },
            "carol@example.com": {"decision": "Approved", "proposalDigest": PROPOSED, "groups": ["ml-approvers"]},
        },
        "decisionsSeen": {"alice@example.com": "2026-11-13T07:55:00Z", "carol@example.com": "2026-11-13T07:48:12Z"},
        "execution": {
            "startTime": "2026-11-13T07:56:00Z",
            "digest": PROPOSED,
            "approvers": ["alice@example.com", "carol@example.com"],
            "fromVersion": 2,
            "doneTime": "2026-11-13T08:12:00Z",
        },
        "outcome": {
            "result": "Retrained",
            "before": "version 2",
            "after": "version 3",
            "realisedImpact": {"metric": "f1", "before": "0.71", "after": "0.81", "rows": 203, "inside": True},
        },
    },
}
REPORT_OF: dict[ReportKind, dict[str, Any]] = {
    ReportKind.DEPLOYMENT: {
        "time": "2026-11-13T08:10:00Z",
        "training": TRAINING,
        "request": DONE,
        "canary": {"version": 3, "phase": "Passed", "weight": 10, "requests": 812, "errors": 0},
    },
    ReportKind.DRIFT: {"time": "2026-11-13T07:30:00Z", "measurement": MEASUREMENT, "evidence": "a1b2c3d4e5"},
    ReportKind.INCIDENT: {
        "time": "2026-11-13T08:42:00Z",
        "training": TRAINING,
        "measurement": MEASUREMENT,
        "evidence": "a1b2c3d4e5",
        "request": DONE,
    },
    ReportKind.APPROVAL: {
        "time": "2026-11-13T07:31:00Z",
        "measurement": MEASUREMENT,
        "evidence": "a1b2c3d4e5",
        "request": REQUEST,
    },
}


def order(kind: ReportKind, **changes: Any) -> ReportOrder:
    """The order of a report of heart in namespace clinic."""
    return ReportOrder.model_validate(
        {
            "key": "0c5ed6a3f2",
            "kind": kind,
            "uri": f"http://mlflow.refit-system.svc:5000/run3/artifacts/reports/{kind.lower()}-0c5ed6a3f2.pdf",
            "cluster": "blue.example.com",
            "namespace": "clinic",
            "model": "heart",
            "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
            "serving": 3,
            "versions": VERSIONS,
            **REPORT_OF[kind],
            **changes,
        }
    )


def measured() -> Measured:
    """What the collector keeps of that measurement."""
    found = of_record([RECORD], "a1b2c3d4e5")
    assert found is not None  # the record is as it is written
    return found


HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    '"><img src="http://evil.test/beacon.png">',
    "url(http://evil.test/a) @import 'http://evil.test/b.css'; </style><style>body{display:none}",
    "{{ 7 * 7 }} {% include 'style.css' %}",
    "مرحبا بكم في المستشفى",
    "心臓病の予測モデルを再訓練する理由",
    "\u202egnp.exe\u202c \u0007\u0000bell",
    "=cmd|' /C calc'!A0",
    "W" * 120,
)
"""What people might write where a name or a reason is asked for."""
LONGEST = "a" * 40
"""Of a ModelDeployment's name."""


def hostile(kind: ReportKind) -> ReportOrder:
    """An order in which every text that a person may write is one of those."""
    text = dict(enumerate(HOSTILE))
    request: dict[str, Any] = {
        **DONE,
        "name": f"{LONGEST}-retrain-5c1e07aa",
        "spec": {
            **DONE["spec"],  # type: ignore[dict-item]  # a literal of our own
            "requestedBy": text[0],
            "note": " ".join(HOSTILE)[:900],
            "trigger": {
                "type": "Human",
                "measurement": "a1b2c3d4e5",
                "features": [text[4], text[5], text[8]],
                "alerts": [
                    {"name": each, "fingerprint": f"f{place}", "startsAt": None} for place, each in text.items()
                ],
            },
        },
        "status": {
            **DONE["status"],  # type: ignore[dict-item]  # a literal of our own
            "phase": "AwaitingApproval" if kind is ReportKind.APPROVAL else "Rejected",
            "approvals": {
                each: {"decision": "Rejected", "proposalDigest": PROPOSED, "reason": each, "groups": [each]}
                for each in HOSTILE
            },
            "decisionsSeen": dict.fromkeys(HOSTILE, "2026-11-13T07:48:12Z"),
        },
    }
    versions = [version(number, reason=HOSTILE[number], algorithm=HOSTILE[number][:64]) for number in range(1, 7)]
    versions.append(version(7, state="Serving", reason=text[0], until=None))
    return order(
        kind,
        model=LONGEST,
        namespace="n" * 63,
        cluster=text[5] + text[4],
        serving=7,
        versions=versions,
        request=None if kind is ReportKind.DRIFT else request,
    )


def hostile_measured() -> Measured:
    """A measurement whose columns have those names, and longer ones; more of them than are shown."""
    names = [*HOSTILE, *(f"column_with_a_long_name_{place:03}_{'x' * 90}" for place in range(80))]
    columns = [
        {"column": name[:128], "method": "KS", "effect": max(0.0, 0.99 - place / 50), "threshold": 0.1,
         "pAdjusted": 1e-5, "drifted": place < 40, "missing": 0.25, "statistics": {}, "note": ""}
        for place, name in enumerate(names)
    ]  # fmt: skip
    faults = {"valid": False, "score": 12.0, "problems": [each[:200] for each in HOSTILE]}
    found = of_record([{**RECORD, "columns": columns, "dataQuality": faults}], "a1b2c3d4e5")
    assert found is not None  # the record is as it is written
    return found
