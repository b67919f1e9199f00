"""The endpoint's own word, from a server that says what it is told to."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from refit.api.deploymentstatus import Artifact, VersionState
from refit.api.signature import Golden
from refit.core.observed import Proof
from refit.shell.endpoint import Endpoint
from worlds import SHA, record

GOLDEN = Golden(rows=({"age": 63.0},), answers=((0.25, 0.75),), tolerance=1e-4)
BODY = GOLDEN.model_dump_json().encode()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as found:
        yield found


async def asked(session: aiohttp.ClientSession, sha256: str, version: Any, probabilities: list[float]) -> Proof:
    """What is made of a service that says this of itself."""

    async def model(_: web.Request) -> web.Response:
        return web.json_response({"sha256": sha256})

    async def golden(_: web.Request) -> web.Response:
        return web.Response(body=BODY)

    async def infer(_: web.Request) -> web.Response:
        told = {"outputs": [{"name": "probabilities", "data": probabilities}]}
        return web.json_response(told | ({"model_version": version} if version else {}))

    app = web.Application()
    app.router.add_get("/refit/v1/model", model)
    app.router.add_get("/golden.json", golden)
    app.router.add_post("/v2/models/heart/infer", infer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        [(host, port)] = [address[:2] for address in runner.addresses]
        url = f"http://{host}:{port}"
        wanted = record(
            2,
            VersionState.CANDIDATE,
            golden=Artifact(uri=f"{url}/golden.json", sha256=hashlib.sha256(BODY).hexdigest()),
        )
        return await Endpoint(session).prove(url, "heart", wanted)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("sha256", "version", "probabilities", "expected"),
    [
        pytest.param(SHA[2], "2", [0.25, 0.75], Proof(sha256=SHA[2], golden=True), id="it is the version"),
        pytest.param(SHA[1], "1", [0.25, 0.75], Proof(sha256=SHA[1]), id="another digest"),
        pytest.param(SHA[2], "2", [0.3, 0.7], Proof(sha256=SHA[2], golden=False), id="another answer"),
        pytest.param(
            SHA[2],
            "1",
            [0.3, 0.7],
            Proof(problem="version 1 answered the golden request, not 2"),
            id="an old pod answers the second question",
        ),
        pytest.param(
            SHA[2], None, [0.25, 0.75], Proof(sha256=SHA[2], golden=True), id="a service that names no version"
        ),
    ],
)
async def test_what_an_endpoint_proves(
    session: aiohttp.ClientSession, sha256: str, version: Any, probabilities: list[float], expected: Proof
) -> None:
    assert await asked(session, sha256, version, probabilities) == expected
