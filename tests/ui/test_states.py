"""Every state of a screen, drawn by Streamlit without a browser and without a cluster: empty, refused, away, ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import refit_ui
from refit_ui.identity import Identity
from refit_ui.session import Failure, Visit
from refit_ui.settings import Settings
from refit_ui.views.snapshot import Snapshot
from worlds_of_page import made_model, made_request

APP = Path(refit_ui.__file__).with_name("app.py")
SCREENS = ("overview", "performance", "drift", "trends", "activity", "compare", "reports", "predict", "request")


def now() -> datetime:
    return datetime.now(UTC)


def run(**state: Any) -> AppTest:
    """The first screen with that memory; what was read is too fresh to be read again."""
    found = AppTest.from_file(str(APP), default_timeout=60)
    identity = Identity(token="t", name="alice", expires=now() + timedelta(hours=1))
    given: dict[str, Any] = {
        "identity": identity,
        "settings": Settings(api_server="https://127.0.0.1:1", refresh_seconds=3600),
    } | state
    found.session_state["visit"] = Visit(**given)
    return found.run()


def told(found: AppTest) -> str:
    """All HTML of the page."""
    assert not found.exception
    return "\n".join(str(one.proto.body) for one in found.get("html"))


def buttons(found: AppTest) -> dict[str, bool]:
    """The buttons by label, and whether they can be pressed."""
    return {one.label: not one.disabled for one in found.button}


def test_who_is_not_signed_in_sees_the_sign_in_and_nothing_else() -> None:
    found = run(identity=None, snapshot=Snapshot(models=(made_model(),), requests=(made_request(),), at=now()))
    assert "Sign in to Refit" in told(found)
    assert "Retrain heart" not in told(found)
    assert list(buttons(found)) == ["Sign in"]


def test_nothing_waits() -> None:
    assert "Nothing waits for a decision" in told(run(snapshot=Snapshot(at=now())))


def test_what_waits_can_be_decided_by_who_may() -> None:
    request = made_request()
    found = run(
        snapshot=Snapshot(models=(made_model(),), requests=(request,), granted=frozenset({request.uid}), at=now())
    )
    assert "Retrain heart" in told(found)
    assert {"Approve": True, "Reject": True}.items() <= buttons(found).items()


def test_who_may_not_gets_no_button() -> None:
    found = run(snapshot=Snapshot(models=(made_model(),), requests=(made_request(),), at=now()))
    assert "You may read this, not decide on it" in told(found)
    assert not {"Approve", "Reject"} & buttons(found).keys()


@pytest.mark.parametrize(
    ("failure", "words", "pressable"),
    [
        pytest.param(
            {"cause": "no answer"}, "What stands below was read at", False, id="the cluster is away: buttons are off"
        ),
        pytest.param(
            {"cause": "x", "ended": True},
            "Your sign-in has ended",
            True,
            id="the sign-in has ended: a press keeps what was written",
        ),
    ],
)
def test_a_failure_stands_above_what_was_read_last(failure: dict[str, Any], words: str, pressable: bool) -> None:
    request = made_request()
    snapshot = Snapshot(models=(made_model(),), requests=(request,), granted=frozenset({request.uid}), at=now())
    found = run(snapshot=snapshot, failure=Failure(at=now(), **failure))
    assert words in told(found)
    assert "Retrain heart" in told(found)
    assert buttons(found)["Approve"] is pressable


def test_a_press_after_the_end_leads_to_the_sign_in_and_keeps_the_reason() -> None:
    request = made_request()
    snapshot = Snapshot(models=(made_model(),), requests=(request,), granted=frozenset({request.uid}), at=now())
    found = run(
        snapshot=snapshot,
        identity=Identity(token="t", name="alice", expires=now() - timedelta(seconds=1)),
        failure=Failure(cause="x", at=now(), ended=True),
    )
    found.text_area[0].input("because").run()
    next(one for one in found.button if one.label == "Approve").click().run()
    assert "Please sign in again" in told(found)
    visit = found.session_state["visit"]
    visit.identity = Identity(token="t", name="alice", expires=now() + timedelta(hours=1))
    visit.snapshot, visit.failure = (
        Snapshot(models=(made_model(),), requests=(request,), granted=frozenset({request.uid}), at=now()),
        None,
    )
    found.run()
    assert found.text_area[0].value == "because"


def test_what_may_not_be_listed_asks_for_a_namespace() -> None:
    found = run(failure=Failure(cause="modeldeployments is forbidden", at=now(), refused=True))
    assert "The cluster does not show you this" in told(found)
    assert [one.label for one in found.text_input] == ["Namespace that you work in"]


def test_one_object_that_can_not_be_read_hides_no_other() -> None:
    request = made_request()
    found = run(
        snapshot=Snapshot(requests=(request,), unreadable=("ModelDeployment x: spec.data: Field required",), at=now())
    )
    assert "One object could not be read" in told(found)
    assert "Retrain heart" in told(found)


@pytest.mark.parametrize("name", SCREENS)
@pytest.mark.parametrize(
    "models", [(), (made_model({}),), (made_model(),)], ids=["no model", "one that nobody looked at", "one that serves"]
)
def test_a_screen_is_drawn_whatever_there_is(name: str, models: tuple[Any, ...]) -> None:
    """Without MLflow, Prometheus or a cluster to ask."""

    def script(name: str) -> None:
        import importlib  # noqa: PLC0415  # the function's text is run as a script of its own

        modules = {"compare": "comparison", "predict": "prediction", "request": "requesting"}
        importlib.import_module(f"refit_ui.screens.{modules.get(name, name)}").draw()

    found = AppTest.from_function(script, kwargs={"name": name}, default_timeout=60)
    found.session_state["visit"] = Visit(
        settings=Settings(api_server="https://127.0.0.1:1", refresh_seconds=3600),
        identity=Identity(token="t", name="alice"),
        snapshot=Snapshot(models=models, at=now()),
        may_ask={"team-a": True},
    )
    assert "<h1>" in told(found.run())
