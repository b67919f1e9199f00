from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from onnx_models import HEART
from refit_predictor.settings import BadSettings, LogSettings, Settings, read

DIGEST = "ab" * 32
LEAST = {"REFIT_MODEL_NAME": "heart", "REFIT_MODEL_VERSION": "7", "REFIT_ARTIFACT_SHA256": DIGEST}
USUAL = Settings(name="heart", version="7", sha256=DIGEST)
LOG = {
    "REFIT_REQUEST_LOG": '{"mode":"All"}',
    "REFIT_COLLECTOR_URL": "http://refit-collector.refit-system.svc:8080",
    "REFIT_COLLECTOR_TOKEN_FILE": "/token",
    "REFIT_NAMESPACE": "clinic",
    "REFIT_SPILL_DIR": "/spill",
}
USUAL_LOG = LogSettings(
    url="http://refit-collector.refit-system.svc:8080",
    namespace="clinic",
    version=7,
    token_file=Path("/token"),
    spill_dir=Path("/spill"),
)


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


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(LOG, USUAL_LOG, id="all that it needs"),
        pytest.param(LOG | {"REFIT_COLLECTOR_URL": " "}, None, id="no collector, no log"),
        pytest.param(LOG | {"REFIT_REQUEST_LOG": ""}, None, id="not asked for, no log"),
        pytest.param(LOG | {"REFIT_REQUEST_LOG": '{"mode":"None","mask":["age"]}'}, None, id="not wanted, no log"),
        pytest.param({"REFIT_REQUEST_LOG": '{"mode":"All"}'}, None, id="wanted, but nobody is there to have it"),
        pytest.param(
            LOG | {"REFIT_REQUEST_LOG": '{"mode":"All","mask":["age"]}', "REFIT_SPILL_BYTES": "65536"},
            replace(USUAL_LOG, mask=frozenset({"age"}), spill_bytes=65536),
            id="a mask and a smaller spill",
        ),
    ],
)
def test_request_log(given: dict[str, str], expected: LogSettings | None) -> None:
    assert read(LEAST | given).request_log == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            {"REFIT_NAMESPACE": "", "REFIT_SPILL_DIR": "", "REFIT_COLLECTOR_TOKEN_FILE": ""},
            "not set, and the request log needs it: REFIT_NAMESPACE, REFIT_COLLECTOR_TOKEN_FILE, REFIT_SPILL_DIR",
            id="all that is absent is named",
        ),
        *(
            pytest.param(
                {"REFIT_COLLECTOR_URL": url},
                "REFIT_COLLECTOR_URL is no address such as http://refit-collector.refit-system.svc:8080",
                id=url,
            )
            for url in (
                "refit-collector:8080",
                "ftp://collector",
                "http://",
                "http://a:b@collector",
                "http://collector?a",
                "http://collector:port",
                "http://[collector",
            )
        ),
        pytest.param({"REFIT_REQUEST_LOG": "All"}, "REFIT_REQUEST_LOG is no requestLog: the whole", id="no JSON"),
        pytest.param(
            {"REFIT_REQUEST_LOG": '{"mode":"Some","mask":"age"}'},
            "REFIT_REQUEST_LOG is no requestLog: mask, mode",
            id="another mode and another mask",
        ),
        pytest.param(
            {"REFIT_SPILL_BYTES": "1000"},
            "REFIT_SPILL_BYTES is not a whole number of at least 65536",
            id="a spill too small to be one",
        ),
        pytest.param(
            {"REFIT_MODEL_VERSION": "v7"},
            "REFIT_MODEL_VERSION is not a whole number of at least 1",
            id="events name their version by number",
        ),
    ],
)
def test_bad_request_log(given: dict[str, str], message: str) -> None:
    with pytest.raises(BadSettings) as raised:
        read(LEAST | LOG | given)
    assert str(raised.value) == message


def test_what_is_masked_is_an_input_or_the_target() -> None:
    assert replace(USUAL_LOG, mask=frozenset({"age", "disease"})).masked(HEART) == {"age"}
    with pytest.raises(BadSettings, match="mask names a, ssn, and the model's inputs are age, sex, chol, thal"):
        replace(USUAL_LOG, mask=frozenset({"ssn", "a", "age"})).masked(HEART)
