"""What comes in from outside: tokens, settings, addresses and labels."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from page_process import EVIL
from plugin import asking
from refit_ui.drawing import plain
from refit_ui.identity import Identity, TokenError, cleaned, expiry
from refit_ui.settings import Settings, SettingsError
from refit_ui.tracking import Tracking
from refit_ui.views.reports import reports
from refit_ui.views.snapshot import Snapshot
from worlds_of_page import NOW, made_request


@pytest.mark.parametrize(
    "uri", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//host/x", "mlflow-artifacts:/a"]
)
def test_only_a_web_address_becomes_a_link(uri: str) -> None:
    found = reports(Snapshot(requests=(made_request({**asking()["status"], "reports": [uri]}),), at=NOW))
    assert [one.linked for one in found] == [False]


@pytest.mark.parametrize(
    ("address", "held"),
    [
        ("http://mlflow:5000/api/2.0/mlflow-artifacts/artifacts/1/a/report.pdf", True),
        ("http://mlflow:5000/api/2.0/mlflow/runs/get?run_id=1", False),
        ("http://mlflow:5000/api/2.0/mlflow-artifacts/artifacts/../../mlflow/runs/get", False),
        ("http://mlflow:5000/api/2.0/mlflow-artifacts/artifacts/%2E%2e/x", False),
        ("http://mlflow:5000.evil.example/api/2.0/mlflow-artifacts/artifacts/1", False),
        ("http://169.254.169.254/latest/meta-data", False),
    ],
    ids=str,
)
def test_only_artifacts_of_the_known_mlflow_are_fetched(address: str, held: bool) -> None:
    assert Tracking("http://mlflow:5000").holds(address) is held


def _jwt(claims: Any) -> str:
    parts: tuple[Any, ...] = ({}, claims, {})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (_jwt({"exp": 1795867200}), datetime(2026, 11, 28, 12, 0, tzinfo=UTC)),
        (_jwt({}), None),
        (_jwt({"exp": "soon"}), None),
        (_jwt({"exp": 10**30}), None),
        (_jwt([1]), None),
        ("a.b.c", None),
        ("opaque", None),
    ],
    ids=["a token with an end", "without one", "no number", "beyond all time", "no claims", "no token", "another kind"],
)
def test_the_end_of_a_token(token: str, expected: datetime | None) -> None:
    assert expiry(token) == expected


def test_an_identity_knows_its_end_and_never_shows_its_token() -> None:
    found = Identity(token="secret-token", name="alice", expires=NOW)
    assert found.is_over(NOW)
    assert not found.is_over(NOW - timedelta(seconds=1))
    assert found.ends_soon(NOW - timedelta(minutes=1))
    assert "secret-token" not in repr(found)


@pytest.mark.parametrize(
    "text", ["", "  ", "two words", "line\nbreak", "ümlaut", "x" * 20000, "nul\0"], ids=lambda text: repr(text[:12])
)
def test_what_can_be_no_token_is_refused_before_it_is_sent(text: str) -> None:
    with pytest.raises(TokenError):
        cleaned(text)


def test_a_pasted_token_loses_what_came_along() -> None:
    assert cleaned("  Bearer abc.def.ghi\n") == "abc.def.ghi"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("REFIT_UI_API_SERVER", "http://api", "must be https://"),
        ("REFIT_UI_TRACKING_URI", "ftp://x", "must be http or https://"),
        ("REFIT_UI_PORT", "99999", "must be a number from 1 to 65535"),
        ("REFIT_UI_REFRESH_SECONDS", "often", "must be a number from 2 to 3600"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as found:
        Settings.of({name: value})
    assert name in str(found.value)


@pytest.mark.parametrize("text", [EVIL, "[a](javascript:b)", ":red[x]", "$x$", "**b**", "a\nb", "# h"])
def test_a_label_holds_nothing_that_markdown_obeys(text: str) -> None:
    found = plain(text)
    assert "\n" not in found
    assert all(
        found[at - 1] == "\\"
        for at, letter in enumerate(found)
        if letter in "<>[]()*_$#`:!" and (at == 0 or found[at - 1] != "\\")
    )
