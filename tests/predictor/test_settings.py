from __future__ import annotations

from pathlib import Path

import pytest

from refit_predictor.settings import BadSettings, Settings, read

DIGEST = "ab" * 32
LEAST = {"REFIT_MODEL_NAME": "heart", "REFIT_MODEL_VERSION": "7", "REFIT_ARTIFACT_SHA256": DIGEST}
USUAL = Settings(name="heart", version="7", sha256=DIGEST)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, USUAL, id="three variables are enough"),
        pytest.param(
            {"REFIT_ARTIFACT_SHA256": f"sha256:{DIGEST.upper()}"},
            USUAL,
            id="a digest may be written with its algorithm",
        ),
        pytest.param({"REFIT_MODEL_DIR": ""}, USUAL, id="an empty variable is as good as none"),
        pytest.param({"REFIT_CPU_LIMIT": "4"}, USUAL, id="one thread answers a row soonest, whatever the limit"),
        pytest.param(
            {"REFIT_MODEL_DIR": "/m", "REFIT_MAX_ROWS": "5", "REFIT_MAX_BODY_BYTES": "9"},
            Settings(name="heart", version="7", sha256=DIGEST, model_dir=Path("/m"), max_rows=5, max_body_bytes=9),
            id="directory and limits can be set",
        ),
        pytest.param(
            {"REFIT_CPU_LIMIT": "2", "REFIT_PREDICTOR_THREADS": "8"},
            Settings(name="heart", version="7", sha256=DIGEST, threads=2),
            id="more threads than processors are never used",
        ),
    ],
)
def test_settings(given: dict[str, str], expected: Settings) -> None:
    assert read(LEAST | given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            {},
            "not set: REFIT_MODEL_NAME, REFIT_MODEL_VERSION, REFIT_ARTIFACT_SHA256",
            id="all that is absent is named",
        ),
        pytest.param(LEAST | {"REFIT_MODEL_NAME": " "}, "not set: REFIT_MODEL_NAME", id="a blank name is none"),
        pytest.param(
            LEAST | {"REFIT_ARTIFACT_SHA256": "ab"},
            "REFIT_ARTIFACT_SHA256 is not a SHA-256 in hexadecimal",
            id="a short digest would match nothing",
        ),
        pytest.param(
            LEAST | {"REFIT_MAX_ROWS": "0"},
            "REFIT_MAX_ROWS is not a whole number of at least 1",
            id="a limit of nothing is refused",
        ),
        pytest.param(
            LEAST | {"REFIT_CPU_LIMIT": "500m"},
            "REFIT_CPU_LIMIT is not a whole number of at least 1",
            id="a quantity is no number",
        ),
    ],
)
def test_bad_settings(given: dict[str, str], message: str) -> None:
    with pytest.raises(BadSettings) as raised:
        read(given)
    assert str(raised.value) == message
