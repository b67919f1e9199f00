from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake_server import signed
from refit.intake.credentials import signing_secret
from refit.intake.refused import RefusedError
from refit.intake.signatures import Signed, signatures, verify, verify_github

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEYS = (signing_secret(SECRET),)
AT = 1614265330
BODY = b'{"test": 2432232314}'
VECTOR = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": str(AT),
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
"""From the reference libraries of Standard Webhooks."""
GOOD = VECTOR["webhook-signature"]
OTHER = "v1," + base64.b64encode(b"x" * 32).decode()


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="the reference vector"),
        pytest.param({"webhook-signature": f"{OTHER} {GOOD}"}, id="one of several signatures is enough"),
        pytest.param({"webhook-signature": f"v1a,abc v2,!! x {GOOD}"}, id="other versions beside it do no harm"),
    ],
)
def test_a_signature_is_taken(headers: dict[str, str]) -> None:
    assert verify(VECTOR | headers, BODY, KEYS, AT) == Signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 1)


def test_either_of_two_secrets_is_taken() -> None:
    assert verify(VECTOR, BODY, (b"y" * 32, *KEYS), AT) == Signed("msg_p5jXN8AQM9LWM0D4loKWxJek", 2)


def test_mlflow_signs_the_same_under_other_names() -> None:
    sender = pytest.importorskip("mlflow.webhooks.delivery", reason="MLflow's own signing needs MLflow")
    body = '{"entity": "model_version"}'
    headers = {
        "X-MLflow-Delivery-Id": "a-b-c",
        "X-MLflow-Timestamp": str(AT),
        "X-MLflow-Signature": sender._generate_hmac_signature("s" * 24, "a-b-c", str(AT), body),
    }
    assert verify(headers, body.encode(), (signing_secret("s" * 24),), AT) == Signed("a-b-c", 1)


OUTSIDE = (401, "webhook-timestamp: timestamp outside tolerance of 300 seconds")
NOT_SECONDS = (400, "webhook-timestamp: must be whole seconds since 1970")
NO_ID = (400, "webhook-id: must be 1 to 128 letters, digits, - _ or :")
NOBODY = (401, "unauthorized")


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        pytest.param({}, BODY, NOBODY, id="48 no headers"),
        pytest.param(VECTOR, BODY + b" ", NOBODY, id="48 the signature of another body"),
        pytest.param(signed(BODY, at=AT, secret="z" * 24), BODY, NOBODY, id="48 another secret"),
        pytest.param(VECTOR | {"webhook-signature": GOOD.replace("v1,", "v2,")}, BODY, NOBODY, id="48 another version"),
        pytest.param(VECTOR | {"webhook-signature": GOOD[3:]}, BODY, NOBODY, id="48 no version"),
        pytest.param(VECTOR | {"webhook-signature": GOOD[:-2]}, BODY, NOBODY, id="48 broken base64"),
        pytest.param(VECTOR | {"webhook-signature": " ".join([OTHER] * 16 + [GOOD])}, BODY, NOBODY, id="48 the 17th"),
        pytest.param(VECTOR | {"webhook-id": "msg_other"}, BODY, NOBODY, id="48 another id than was signed"),
        pytest.param(VECTOR | {"webhook-timestamp": str(AT + 1)}, BODY, NOBODY, id="48 another time than was signed"),
        pytest.param(signed(BODY, at=AT + 301), BODY, OUTSIDE, id="49 301 seconds ahead"),
        pytest.param(signed(BODY, at=AT - 301), BODY, OUTSIDE, id="49 301 seconds late"),
        pytest.param(signed(BODY, at=AT * 1000), BODY, OUTSIDE, id="49 milliseconds"),
        pytest.param(signed(BODY, at="-5"), BODY, NOT_SECONDS, id="49 negative"),
        pytest.param(signed(BODY, at="now"), BODY, NOT_SECONDS, id="49 text"),
        pytest.param(signed(BODY, at="٣"), BODY, NOT_SECONDS, id="49 digits of another script"),
        pytest.param(signed(BODY, at="9" * 16), BODY, NOT_SECONDS, id="49 sixteen digits"),
        pytest.param(signed(BODY, at=AT, number="a.1"), BODY, NO_ID, id="an id with a dot, which could hide a time"),
        pytest.param(signed(BODY, at=AT, number=""), BODY, NO_ID, id="an empty id"),
    ],
)
def test_a_signature_is_refused(headers: Mapping[str, str], body: bytes, expected: tuple[int, str]) -> None:
    with pytest.raises(RefusedError) as refused:
        verify(headers, body, KEYS, AT)
    assert (refused.value.status, refused.value.problem) == expected


@pytest.mark.parametrize("by", [-300, 300])
def test_300_seconds_are_within_tolerance(by: int) -> None:
    assert verify(signed(BODY, at=AT + by), BODY, KEYS, AT) == Signed("msg_1", 1)


GITHUB = {
    "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
}
GITHUB_KEYS = (signing_secret("It's a Secret to Everybody"),)


def test_github_signs_the_body() -> None:
    """The vector of GitHub's own documentation."""
    assert verify_github(GITHUB, b"Hello, World!", GITHUB_KEYS) == Signed("72d3162e-cc78-11e3-81ab-4c9367dc0958", 1)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param({"X-Hub-Signature-256": "sha256=" + "0" * 64}, NOBODY, id="another signature"),
        pytest.param({"X-Hub-Signature-256": "sha1=" + "0" * 40}, NOBODY, id="another method"),
        pytest.param({"X-Hub-Signature-256": ""}, NOBODY, id="none"),
        pytest.param(
            {"X-GitHub-Delivery": "a b"},
            (400, "X-GitHub-Delivery: must be 1 to 128 letters, digits, - _ or :"),
            id="no id",
        ),
    ],
)
def test_github_is_refused(more: dict[str, str], expected: tuple[int, str]) -> None:
    with pytest.raises(RefusedError) as refused:
        verify_github(GITHUB | more, b"Hello, World!", GITHUB_KEYS)
    assert (refused.value.status, refused.value.problem) == expected


@given(
    st.text(max_size=400) | st.lists(st.sampled_from(["v1,", "v1", ",", " ", "=", "AAAA", "é", "\udcff"])).map("".join)
)
def test_whatever_stands_in_the_header_is_read_or_left_out(header: str) -> None:
    assert all(isinstance(one, bytes) for one in signatures(header))


@given(st.fixed_dictionaries({name: st.text(max_size=100) for name in VECTOR}), st.binary(max_size=200))
def test_nobody_gets_in_by_chance(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        verify(headers, body, KEYS, AT)
    assert refused.value.status == 401
