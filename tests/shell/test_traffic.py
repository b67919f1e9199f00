"""What pods count, read from the page that the predictor makes for Prometheus."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry, generate_latest

from refit.api.dataspec import ColumnType
from refit.api.modeldeployment import Task
from refit.api.signature import InputColumn, Signature
from refit.core.observed import Counted, Traffic
from refit.shell.endpoint import Endpoint
from refit_predictor.metrics import SECONDS, Metrics


def page(*refused: int) -> bytes:
    """The metrics of a predictor that has refused requests with these codes."""
    inputs = (InputColumn(name="age", type=ColumnType.NUMBER),)
    signature = Signature(task=Task.CLASSIFICATION, target="y", inputs=inputs, classes=("no", "yes"))
    metrics = Metrics(signature, "heart", "2", "0" * 64)
    for code in refused:
        metrics.refused("v1", 0.001, code)
    registry = CollectorRegistry()
    registry.register(metrics)
    return generate_latest(registry)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as found:
        yield found


async def serve(body: bytes, status: int = 200) -> TestServer:
    """A pod's server."""

    async def metrics(request: web.Request) -> web.Response:
        assert request.path == "/metrics"
        return web.Response(body=body, status=status)

    application = web.Application()
    application.router.add_get("/{path:.*}", metrics)
    server = TestServer(application)
    await server.start_server()
    return server


LONG = b"# HELP more than what arrives at once\n" * 20_000


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        pytest.param([], Traffic(problem="none of its pods has an address"), id="there are none"),
        pytest.param([page()], Traffic(), id="nothing was asked"),
        pytest.param([page(500, 422)], Traffic(requests=2, errors=2), id="a refusal is an error as a failure is"),
        pytest.param(
            [b"refit_predictor_requests_total{code="],
            Traffic(problem="could not convert string to float: '{code='"),
            id="a page that ends in the middle",
        ),
        pytest.param([LONG + page(500)], Traffic(requests=1, errors=1), id="a long page is read to its end"),
        pytest.param([page(500), page(200, 200)], Traffic(requests=3, errors=1), id="pods count together"),
    ],
)
async def test_what_pods_have_answered(session: aiohttp.ClientSession, pods: list[bytes], expected: Traffic) -> None:
    servers = [await serve(body) for body in pods]
    found = await Endpoint(session).traffic(tuple(str(server.make_url("")).rstrip("/") for server in servers))
    for server in servers:
        await server.close()
    assert found == expected


async def test_pods_of_which_one_is_silent_are_not_known(session: aiohttp.ClientSession) -> None:
    servers = [await serve(page()), await serve(b"", status=503)]
    addresses = tuple(str(server.make_url("")).rstrip("/") for server in servers)
    found = await Endpoint(session).traffic(addresses)
    for server in servers:
        await server.close()
    assert found == Traffic(problem=f"GET {addresses[1]}/metrics: 503")


WORKED = b"process_cpu_seconds_total 3.25\n"
TOOK = {0.001: 2}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            page(500, 422) + WORKED,
            Counted(
                busy_seconds=3.25,
                latency_seconds=0.002,
                latencies=tuple((bound, TOOK.get(bound, 0)) for bound in (*SECONDS, float("inf"))),
            ),
            id="its work, and its latencies between bounds, of both protocols",
        ),
        pytest.param(
            page(500),
            "process_cpu_seconds_total or refit_predictor_request_seconds is not among what it counts",
            id="no processor time",
        ),
        pytest.param(
            WORKED,
            "process_cpu_seconds_total or refit_predictor_request_seconds is not among what it counts",
            id="no latencies",
        ),
        pytest.param(
            b'refit_predictor_request_seconds_bucket{le="low"} 1',
            "could not convert string to float: 'low'",
            id="no number",
        ),
    ],
)
async def test_what_a_pod_has_worked(session: aiohttp.ClientSession, body: bytes, expected: Counted | str) -> None:
    server = await serve(body)
    found = await Endpoint(session).counts(str(server.make_url("")).rstrip("/"))
    await server.close()
    assert found == expected
