from __future__ import annotations

import logging
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from intake_server import free_port
from refit.intake import IntakeSettings, IntakeSettingsError, running
from refit.intake.targets import TargetLabels


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, IntakeSettings(), id="nothing is needed to have no intake"),
        pytest.param({"REFIT_INTAKE_TOKEN_FILE": ""}, IntakeSettings(), id="an empty variable is none"),
        pytest.param(
            {
                "REFIT_INTAKE_PORT": "tcp://10.0.0.1:8090",
                "REFIT_INTAKE_SERVICE_HOST": "10.0.0.1",
                "REFIT_INTAKE_PORT_8090_TCP": "x",
            },
            IntakeSettings(),
            id="what Kubernetes sets for a Service named refit-intake is no setting",
        ),
        pytest.param(
            {"REFIT_INTAKE_TARGET_LABELS": "model=mdep, namespace=ns"},
            IntakeSettings(target_labels=TargetLabels("ns", "mdep")),
            id="labels in any order",
        ),
    ],
)
def test_settings(given: dict[str, str], expected: IntakeSettings) -> None:
    assert IntakeSettings.read(given) == expected


def test_the_port_is_8443_with_a_certificate(tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).touch()
    files = {"REFIT_INTAKE_TLS_CERT": str(tmp_path / "cert"), "REFIT_INTAKE_TLS_KEY": str(tmp_path / "key")}
    assert IntakeSettings.read(files).port == 8443


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            {"REFIT_INTAKE_PORT": "99999"},
            "REFIT_INTAKE_PORT: Input should be less than or equal to 65535 (is '99999')",
            id="78 a port that is none",
        ),
        pytest.param(
            {"REFIT_INTAKE_TOKNE_FILE": "x"},
            "REFIT_INTAKE_TOKNE_FILE: Extra inputs are not permitted",
            id="78 a typing error",
        ),
        pytest.param(
            {"REFIT_INTAKE_TARGET_LABELS": "model=a"},
            "REFIT_INTAKE_TARGET_LABELS: must be namespace=<label>,model=<label> (is 'model=a')",
            id="78 labels without the namespace's",
        ),
        pytest.param(
            {"REFIT_INTAKE_TLS_CERT": "/nowhere"},
            "REFIT_INTAKE_TLS_CERT: no such file (is '/nowhere')",
            id="78 no certificate",
        ),
        pytest.param(
            {"REFIT_INTAKE_STRICT": "true"},
            "REFIT_INTAKE_STRICT needs REFIT_INTAKE_TOKEN_FILE and REFIT_INTAKE_TLS_CLIENT_CA",
            id="78 strict without both",
        ),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(given: dict[str, str], expected: str) -> None:
    with pytest.raises(IntakeSettingsError) as error:
        IntakeSettings.read(given)
    assert str(error.value) == expected


async def start(folder: Path, **more: str) -> bool:
    """Whether there is an intake."""
    given = {"REFIT_INTAKE_PORT": str(free_port()), "REFIT_INTAKE_DATABASE": str(folder / "alerts.db")} | more
    settings = IntakeSettings.read(given)
    async with running(
        settings,
        known=lambda *_: True,
        ready=lambda: True,
        stored=lambda *_: None,
        registry=CollectorRegistry(),
        host="127.0.0.1",
    ) as store:
        return store is not None


async def test_without_secrets_there_is_no_intake_and_one_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert not await start(tmp_path, REFIT_INTAKE_TOKEN_FILE=str(tmp_path / "token"))
    assert caplog.messages == [f"the alert intake is off: REFIT_INTAKE_TOKEN_FILE ({tmp_path}/token) does not exist"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "must hold one secret a line, 1 or 2, not 0", id="78 an empty file"),
        pytest.param(
            "a" * 20 + "\n" + "b" * 20 + "\n" + "c" * 20, "must hold one secret a line, 1 or 2, not 3", id="78 three"
        ),
        pytest.param("short", "a token must be 16 to 512 visible ASCII characters", id="78 a short token"),
        pytest.param("\xff" * 20, "a token must be 16 to 512 visible ASCII characters", id="78 not ASCII"),
    ],
)
async def test_a_wrong_token_file_is_one_line_without_the_token(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(IntakeSettingsError) as error:
        await start(tmp_path, REFIT_INTAKE_TOKEN_FILE=str(path))
    assert str(error.value) == f"REFIT_INTAKE_TOKEN_FILE: {path}: {problem}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("x" * 23, "a secret must be 24 to 64 bytes, not 23", id="78 23 bytes"),
        pytest.param("x" * 65, "a secret must be 24 to 64 bytes, not 65", id="78 65 bytes"),
        pytest.param("whsec_%%%", "after whsec_ there must be base64", id="78 no base64"),
    ],
)
async def test_a_wrong_signing_secret_is_one_line_without_it(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "secret"
    path.write_text(text)
    with pytest.raises(IntakeSettingsError) as error:
        await start(tmp_path, REFIT_INTAKE_EVENTS_SECRET_FILE=str(path))
    assert str(error.value) == f"REFIT_INTAKE_EVENTS_SECRET_FILE: {path}: {problem}"


async def test_a_store_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t" * 16)
    (tmp_path / "alerts.db").write_text("this is no database, whatever its name says" * 100)
    with pytest.raises(IntakeSettingsError) as error:
        await start(tmp_path, REFIT_INTAKE_TOKEN_FILE=str(tmp_path / "token"))
    assert str(error.value) == (
        f"REFIT_INTAKE_DATABASE: {tmp_path}/alerts.db: file is not a database; give a writable path on a volume of its own"
    )
