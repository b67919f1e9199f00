"""Whose token it is, as the API server says; its word counts for a minute."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from refit_collector.identity import Identity, identify
from refit_collector.refusals import Refused
from refit_collector.tokenreviews import TokenReviews

SHOP = "system:serviceaccount:shop:predictor"
OPERATOR = "system:serviceaccount:refit-system:refit-operator"


def review(**more: Any) -> dict[str, Any]:
    return {"status": {"authenticated": True, "audiences": ["refit-collector"], "user": {"username": SHOP}} | more}


class ApiServer:
    """Answers every review alike, and remembers what it was asked."""

    def __init__(self, answer: dict[str, Any] | int | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.url.path, request.headers["authorization"], json.loads(request.content)))
        match self.answer:
            case Exception() as error:
                raise error
            case int() as code:
                return httpx.Response(code)
            case document:
                return httpx.Response(201, json=document)


@pytest.fixture
def reviews(tmp_path: Path) -> Callable[..., TokenReviews]:
    own = tmp_path / "token"
    own.write_text("own-token\n")

    def made(server: ApiServer, clock: Callable[[], float] = lambda: 0.0) -> TokenReviews:
        client = httpx.AsyncClient(transport=httpx.MockTransport(server), base_url="https://api.test")
        return TokenReviews(client, own, ["refit-system:refit-operator"], clock)

    return made


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(review(), Identity(SHOP, "shop"), id="a ServiceAccount may use its own namespace"),
        pytest.param(
            review(user={"username": OPERATOR}), Identity(OPERATOR, "*"), id="one that is named in the settings all of them"
        ),
        pytest.param(review(authenticated=False), None, id="a token that is not valid"),
        pytest.param(review(audiences=["https://kubernetes.default.svc"]), None, id="a token for somebody else"),
        pytest.param(review(audiences=[]), None, id="an API server that knows no audiences"),
        pytest.param(review(user={"username": "alice"}), None, id="a person"),
        pytest.param({"status": {}}, None, id="an empty answer"),
    ],
)  # fmt: skip
async def test_identity(
    reviews: Callable[..., TokenReviews], answer: dict[str, Any], expected: Identity | None
) -> None:
    server = ApiServer(answer)
    assert await reviews(server).identity("a.b.c") == expected
    spec = {"token": "a.b.c", "audiences": ["refit-collector"]}
    document = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    assert server.asked == [("/apis/authentication.k8s.io/v1/tokenreviews", "Bearer own-token", document)]


@pytest.mark.parametrize(
    ("answer", "within", "after"),
    [
        pytest.param(review(), 59.9, 60.1, id="a good word counts for a minute"),
        pytest.param(review(authenticated=False), 4.9, 5.1, id="a bad one for five seconds"),
    ],
)
async def test_the_answer_is_remembered(
    reviews: Callable[..., TokenReviews], answer: dict[str, Any], within: float, after: float
) -> None:
    now = 0.0
    server = ApiServer(answer)
    tokens = reviews(server, lambda: now)
    asked = []
    for moment in (0.0, within, after):
        now = moment
        await tokens.identity("a.b.c")
        asked.append(len(server.asked))
    assert asked == [1, 1, 2]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(500, id="it fails"),
        pytest.param(403, id="the collector may not ask"),
        pytest.param(httpx.ConnectError("refused"), id="it is not there"),
        pytest.param({"kind": "Status"}, id="it answers something else"),
    ],
)
async def test_without_an_answer_the_sender_is_to_come_again(
    reviews: Callable[..., TokenReviews], answer: dict[str, Any] | int | Exception
) -> None:
    with pytest.raises(Refused) as refused:
        await reviews(ApiServer(answer)).identity("a.b.c")
    assert (refused.value.status, refused.value.headers()) == (503, {"retry-after": "5"})


async def test_what_can_be_no_token_is_not_asked_about(reviews: Callable[..., TokenReviews]) -> None:
    server = ApiServer(review())
    for header in ("", "Bearer", "Bearer one-word", "Basic a.b.c", "Bearer a\x00.b.c", "Bearer " + "a." * 20_000):
        with pytest.raises(Refused) as refused:
            await identify(header, [reviews(server)])
        assert refused.value.status == 401
    assert server.asked == []
