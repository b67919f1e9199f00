"""Spans as an OpenTelemetry collector gets them, over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from receivers import hook
from refit.api import traces
from refit.core.tracing import Span
from refit.shell.tracing import Tracer, exporting

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = Span(
    trace=TRACE,
    part="heart-train-1",
    within="uid-1",
    name="training",
    start=START,
    end=START + timedelta(seconds=90),
    failed=True,
    attributes={"refit.model": "heart"},
)


async def test_a_span_arrives_with_computed_ids_and_its_own_times() -> None:
    async with hook() as collector:
        tracer = Tracer(exporting(f"{collector.url}/v1/traces"), "test-1")
        tracer.emit([SPAN])
        await asyncio.to_thread(tracer.close)
    [post] = collector.got
    [resource] = ExportTraceServiceRequest.FromString(post.body).resource_spans
    [span] = resource.scope_spans[0].spans
    assert (span.trace_id.hex(), span.span_id.hex()) == (TRACE, traces.span_id("heart-train-1"))
    assert (span.parent_span_id.hex(), span.name, span.status.code) == (traces.span_id("uid-1"), "training", 2)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (
        int(START.timestamp() * 1e9),
        int((START.timestamp() + 90) * 1e9),
    )
    assert {each.key: each.value.string_value for each in span.attributes} == {"refit.model": "heart"}
    named = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert (named["service.name"], named["k8s.cluster.name"]) == ("refit-operator", "test-1")


def test_by_default_nothing_is_sent() -> None:
    assert exporting("") is None
    tracer = Tracer(None, "")
    tracer.emit([SPAN])
    tracer.close()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        pytest.param(traces.parent(TRACE, "a"), TRACE, id="one of ours"),
        pytest.param(f"00-{TRACE}-00f067aa0ba902b7-00", TRACE, id="one that is not sampled"),
        pytest.param("00-" + "0" * 32 + "-00f067aa0ba902b7-01", "", id="an id of zeros is none"),
        pytest.param(f"00-{TRACE.upper()}-00f067aa0ba902b7-01", "", id="capitals are no hexadecimal here"),
        pytest.param("", "", id="none"),
        pytest.param("nonsense", "", id="nonsense"),
    ],
)
def test_a_traceparent_is_read(header: str, found: str) -> None:
    assert traces.of_parent(header) == found
