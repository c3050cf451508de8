"""OpenTelemetry: one span a request, made when the request is over. Off unless asked for.

The span takes its parent from the client's `traceparent` (W3C Trace Context). Where spans go is
OpenTelemetry's own business: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS and the other
variables of its specification.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from boute.deployments.record import RequestRecord
from boute.errors import InputError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = ["RequestTracer"]

_NS_PER_S: Final = 1_000_000_000


class RequestTracer:
    """Turns records into spans and exports them from a thread of its own.

    `exporter` is OTLP over HTTP when None; raises InputError when it is not installed.
    """

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        # Given here, the name would win over the variable.
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "boute"}
        self._provider = TracerProvider(resource=Resource.create(named))
        self._provider.add_span_processor(BatchSpanProcessor(exporter or _otlp()))
        self._tracer = self._provider.get_tracer("boute")
        self._propagator = TraceContextTextMapPropagator()

    def finished(self, record: RequestRecord) -> None:
        """Make the span of a request that is over."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        carrier = {} if record.traceparent is None else {"traceparent": record.traceparent}
        began_ns = round(record.arrival_unix_s * _NS_PER_S)
        span = self._tracer.start_span(
            "boute.request",
            context=self._propagator.extract(carrier),
            kind=SpanKind.SERVER,
            start_time=began_ns,
            attributes=_attributes(record),
        )
        if record.outcome not in ("ok", "client_error"):
            span.set_status(Status(StatusCode.ERROR, record.outcome))
        span.end(began_ns + round(record.e2e_s * _NS_PER_S))

    def close(self) -> None:
        """Export what is waiting and stop."""
        self._provider.shutdown()


def _otlp() -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise InputError(
            "the OTLP exporter of OpenTelemetry is not installed",
            where="opentelemetry",
            mend="pip install opentelemetry-exporter-otlp-proto-http",
        ) from None
    exporter: SpanExporter = OTLPSpanExporter()
    return exporter


def _attributes(record: RequestRecord) -> dict[str, str | int | float | bool]:
    """What a span says; the names of `gen_ai` are those of OpenTelemetry's conventions."""
    known = {
        "gen_ai.request.model": record.asked_model,
        "gen_ai.response.model": record.model,
        "gen_ai.usage.input_tokens": record.input_tokens,
        "gen_ai.usage.output_tokens": record.output_tokens,
        "http.response.status_code": record.status,
        "boute.request_id": record.request_id,
        "boute.pool": record.pool,
        "boute.plan": record.plan,
        "boute.score": record.score,
        "boute.confidence": record.confidence,
        "boute.discarded": len(record.discarded),
        "boute.ttft_s": record.ttft_s,
        "boute.attempts": record.attempts,
        "boute.outcome": record.outcome,
        "boute.stream": record.stream,
    }
    return {name: value for name, value in known.items() if value is not None}
