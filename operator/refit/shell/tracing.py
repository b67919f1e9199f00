"""Spans on their way to an OpenTelemetry collector, where one is named; by default there is none."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from refit.api import traces
from refit.core.tracing import Span

_NEXT: ContextVar[tuple[int, int]] = ContextVar("the ids of the span that is being made")


class _Computed(IdGenerator):
    """Ids are computed from what a span is about, so that who meets the same cause later names the same parent."""

    def generate_trace_id(self) -> int:
        return _NEXT.get()[0]

    def generate_span_id(self) -> int:
        return _NEXT.get()[1]


def exporting(endpoint: str) -> SpanProcessor | None:
    """To an OTLP/HTTP address such as http://collector:4318/v1/traces, in batches and in a thread of its own; what
    cannot be sent is dropped and logged. None where there is no address."""
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)) if endpoint else None


class Tracer:
    """Makes spans of what has ended."""

    def __init__(self, processor: SpanProcessor | None, cluster: str) -> None:
        self._provider: TracerProvider | None = None
        if processor is not None:
            resource = Resource.create({"service.name": "refit-operator", "k8s.cluster.name": cluster})
            self._provider = TracerProvider(resource=resource, id_generator=_Computed())
            self._provider.add_span_processor(processor)

    def emit(self, spans: Iterable[Span]) -> None:
        """Takes them; never waits."""
        if self._provider is None:
            return
        tracer = self._provider.get_tracer("refit")
        for span in spans:
            trace_id = int(span.trace, 16)
            _NEXT.set((trace_id, int(traces.span_id(span.part), 16)))
            made = tracer.start_span(
                span.name,
                context=_within(trace_id, span.within),
                start_time=_nanoseconds(span.start.timestamp()),
                attributes=span.attributes,
            )
            if span.failed:
                made.set_status(Status(StatusCode.ERROR))
            made.end(_nanoseconds(span.end.timestamp()))

    def close(self) -> None:
        """Sends what waits."""
        if self._provider is not None:
            self._provider.shutdown()


def _within(trace_id: int, part: str) -> Context:
    if not part:
        return Context()
    parent = SpanContext(trace_id, int(traces.span_id(part), 16), is_remote=True, trace_flags=TraceFlags(1))
    return trace.set_span_in_context(NonRecordingSpan(parent), Context())


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
