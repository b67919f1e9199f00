from __future__ import annotations

import os
import subprocess
import sys

import pytest

from refit.shell.settings import Settings

IMAGE = "registry.test/x@sha256:" + "0" * 64
GOOD = {
    "REFIT_TRAINER_IMAGE": IMAGE,
    "REFIT_PREDICTOR_IMAGE": IMAGE,
    "REFIT_MONITOR_IMAGE": IMAGE,
    "REFIT_TRACKING_URI": "http://mlflow:5000",
}


def test_namespaces_are_a_comma_separated_list(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (GOOD | {"REFIT_NAMESPACES": "a, b"}).items():
        monkeypatch.setenv(name, value)
    assert Settings.read().namespaces == ("a", "b")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"REFIT_TRAINER_IMAGE": None}, "refit: REFIT_TRAINER_IMAGE: Field required\n", id="a missing one"),
        pytest.param(
            {"REFIT_PREDICTOR_IMAGE": "x:latest"},
            "refit: REFIT_PREDICTOR_IMAGE: String should match pattern '^[^\\s@]+@sha256:[0-9a-f]{64}$' (is 'x:latest')\n",
            id="an image without a digest",
        ),
        pytest.param(
            {"REFIT_WORKERS": "many"},
            "refit: REFIT_WORKERS: Input should be a valid integer, unable to parse string as an integer (is 'many')\n",
            id="a word for a number",
        ),
    ],
)
def test_a_bad_setting_ends_the_process_with_one_line(change: dict[str, str | None], expected: str) -> None:
    environment = {**os.environ, **GOOD, **change}
    found = subprocess.run(
        [sys.executable, "-m", "refit"],
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (2, expected)
