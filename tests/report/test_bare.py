"""The least that an order may hold: every phase of a request and every verdict has a page, whatever is missing."""

from __future__ import annotations

from typing import Any

import pytest

from refit.api.measured import LastMeasurement
from refit.api.remediationrequest import Action, RequestPhase
from refit.api.reports import ReportKind
from refit.report.measured import of_record, of_status
from refit.report.pages import html
from reported import MEASUREMENT, PROPOSED, order, version

PARAMETERS: dict[Action, dict[str, Any]] = {
    Action.SCALE: {"replicas": 3},
    Action.PROMOTE: {"toVersion": 2},
    Action.ROLLBACK: {"toVersion": 1},
    Action.CHANGE_CONFIG: {"config": {"serving.maxReplicas": "4"}},
}


def request(action: Action, **status: Any) -> dict[str, Any]:
    return {
        "name": "wish",
        "uid": "u",
        "created": "2026-11-13T07:31:00Z",
        "spec": {
            "targetRef": {"name": "heart"},
            "action": action,
            "parameters": PARAMETERS.get(action, {}),
            "trigger": {"type": "Human"},
            "requestedBy": "bob",
        },
        "status": status,
    }


@pytest.mark.parametrize("phase", [*RequestPhase, None])
@pytest.mark.parametrize("action", list(Action))
def test_a_request_of_which_little_is_known(action: Action, phase: RequestPhase | None) -> None:
    bare: dict[str, Any] = {"training": None, "measurement": None, "evidence": "", "versions": [], "serving": None}
    found = html(order(ReportKind.INCIDENT, request=request(action, phase=phase), **bare), None)
    assert "No impact was predicted." in found
    proposal = {"digest": PROPOSED, "text": f"{action} heart"}
    asked = order(ReportKind.APPROVAL, request=request(action, phase=phase, proposal=proposal), **bare)
    assert "The decision has to be made without one." in html(asked, None)


def test_a_first_version_has_none_before_it() -> None:
    first = version(1, state="Serving", until=None)
    found = html(
        order(ReportKind.DEPLOYMENT, serving=1, versions=[first], training=None, request=None, canary=None), None
    )
    assert "It was trained and deployed as its spec asks; that needs nobody&#39;s approval." in found
    assert "the first version" in found


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({"features": [], "drifted": 0}, "The answers have drifted", id="only the answers drifted"),
        pytest.param({"features": MEASUREMENT["features"][:1]}, "thalach has drifted", id="one input drifted"),  # type: ignore[index]  # a list of our own
        pytest.param({"quality": {"verdict": "Ok", "labelled": 0}}, "No labels have come", id="no labels"),
        pytest.param({"dataQuality": None}, "The requests themselves were not judged.", id="requests not judged"),
        pytest.param(
            {"dataQuality": {"valid": False, "score": "3", "message": "all zero"}}, "all zero", id="faulty requests"
        ),
    ],
)
def test_a_measurement_of_which_little_is_known(changes: dict[str, Any], told: str) -> None:
    found = LastMeasurement.model_validate(MEASUREMENT | changes)
    assert told in html(order(ReportKind.DRIFT), of_status(found))


def test_a_record_of_a_newer_collector_is_read_and_a_broken_one_is_none() -> None:
    least = {"key": "k", "time": "2026-11-13T07:30:00Z", "verdict": "NoDrift", "surprise": 1}
    assert of_record([{"key": "k"}], "k") is None
    assert of_record([least], "other") is None
    found = of_record([least], "k")
    assert found is not None
    assert (found.columns, found.whole) == ((), True)
