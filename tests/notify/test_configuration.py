"""notifications.yaml: what is taken, what is refused, and who is told what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from noticed import configured, notice, settings
from refit.api.notices import NoticeKind, Severity
from refit.notify.configuration import Configuration, ConfigurationError, read

MAIL = {"host": "mail.example.com", "from": "refit@example.com", "to": ["a@example.com"]}
HOOK: dict[str, Any] = {"name": "hook", "webhook": {"urlFile": "hook-url"}}


def test_without_a_file_there_is_nobody_to_tell(tmp_path: Path) -> None:
    assert read(tmp_path) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param(
            {"receivers": []}, "receivers: Tuple should have at least 1 item after validation, not 0", id="no receiver"
        ),
        pytest.param({"recievers": []}, "recievers: Extra inputs are not permitted", id="a field nobody knows"),
        pytest.param(
            {"receivers": [{"name": "a"}]},
            "receivers.0: name exactly one of mail, slack, webhook and apprise",
            id="a receiver without a way",
        ),
        pytest.param(
            {"receivers": [HOOK | {"slack": {"urlFile": "hook-url"}}]},
            "receivers.0: name exactly one of mail, slack, webhook and apprise",
            id="a receiver with two ways",
        ),
        pytest.param({"receivers": [HOOK, HOOK]}, "two receivers are called hook", id="two of one name"),
        pytest.param(
            {"routes": [{"receivers": ["hok"]}]},
            "routes.0.receivers: there is no receiver hok",
            id="a route to a receiver that is not there",
        ),
        pytest.param(
            {"routes": [{"receivers": ["hook"], "severity": "Critical"}]},
            "routes.0.severity: Input should be 'Low', 'Medium' or 'High'",
            id="a severity that there is not",
        ),
        pytest.param(
            {"receivers": [{"name": "hook", "mail": MAIL | {"to": ["a@example.com\nBcc: b@example.com"]}}]},
            "receivers.0.mail.to.0: String should match pattern '^[^\\s@<>]+@[^\\s@<>]+$'",
            id="a header in an address",
        ),
        pytest.param(
            {"receivers": [{"name": "hook", "mail": MAIL | {"passwordFile": "hook-url"}}]},
            "receivers.0.mail: usernameFile and passwordFile go together",
            id="a password without a name",
        ),
        pytest.param(
            {
                "receivers": [
                    {
                        "name": "hook",
                        "mail": MAIL | {"security": "Plain", "usernameFile": "hook-url", "passwordFile": "hook-url"},
                    }
                ]
            },
            "receivers.0.mail: a password is not sent without TLS: set security to StartTLS or TLS",
            id="a password in clear",
        ),
        pytest.param(
            {"receivers": [{"name": "hook", "webhook": {"urlFile": "../hook-url"}}]},
            "receivers.0.webhook.urlFile: String should match pattern '^[-._a-zA-Z0-9]+$'",
            id="a file elsewhere",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_name(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        configured(tmp_path, settings(HOOK) | given, hook_url="https://hooks.example.com/secret")
    assert str(error.value) == f"notifications.yaml: {said}"


def test_a_secret_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^hook-url: cannot be read"):
        configured(tmp_path, settings(HOOK))


def test_what_is_no_yaml_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "notifications.yaml").write_text("cluster: [")
    with pytest.raises(ConfigurationError, match="is no YAML"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("route", "changes", "told"),
    [
        pytest.param({}, {}, True, id="a route that names nothing wants all"),
        pytest.param({}, {"kind": NoticeKind.REPORT}, False, id="but no reports unasked"),
        pytest.param({"kinds": ["Report"]}, {"kind": NoticeKind.REPORT}, True, id="asked for, they come"),
        pytest.param({"severity": "High"}, {"severity": Severity.MEDIUM}, False, id="not severe enough"),
        pytest.param({"severity": "Medium"}, {"severity": Severity.HIGH}, True, id="more severe than asked for"),
        pytest.param({"namespaces": ["shop-*"]}, {"namespace": "shop-eu"}, True, id="a pattern of the namespace"),
        pytest.param({"namespaces": ["shop-*"]}, {"namespace": "clinic"}, False, id="another namespace"),
        pytest.param({"models": ["heart", "lung"]}, {"model": "lung"}, True, id="one of the models"),
        pytest.param({"models": ["heart"]}, {"model": "heartbeat"}, False, id="a model of a longer name"),
    ],
)
def test_a_route_wants(tmp_path: Path, route: dict[str, Any], changes: dict[str, Any], told: bool) -> None:
    found = configured(
        tmp_path, settings(HOOK) | {"routes": [{"receivers": ["hook"], **route}]}, hook_url="https://hooks.example.com"
    )
    assert found.receivers_of(notice(**changes)) == (("hook",) if told else ())


def test_whom_two_routes_lead_to_is_told_once(tmp_path: Path) -> None:
    found: Configuration = configured(
        tmp_path,
        settings(HOOK) | {"routes": [{"receivers": ["hook"]}, {"receivers": ["hook"], "models": ["heart"]}]},
        hook_url="https://hooks.example.com",
    )
    assert found.receivers_of(notice()) == ("hook",)
