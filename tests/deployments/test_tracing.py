from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from boute.deployments.record import RequestRecord
from boute.deployments.tracing import RequestTracer
from boute.errors import InputError

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def span_of(record: RequestRecord) -> ReadableSpan:
    exporter = InMemorySpanExporter()
    tracer = RequestTracer(exporter)
    tracer.finished(record)
    tracer.close()
    (span,) = exporter.get_finished_spans()
    return span


def test_a_span_a_request(record: RequestRecord) -> None:
    span = span_of(replace(record, arrival_unix_s=1_760_000_000.0))
    assert (span.start_time, span.end_time) == (
        1_760_000_000_000_000_000,
        1_760_000_002_500_000_000,
    )
    assert span.parent is None
    assert span.resource.attributes["service.name"] == "boute"
    found = dict(span.attributes or {})
    assert found["gen_ai.response.model"] == "small"
    assert found["boute.pool"] == "small-l4"
    assert found["boute.score"] == 0.5
    assert found["boute.ttft_s"] == 0.5
    assert not any("a secret" in str(value) for value in found.values())
    assert span.status.is_unset


def test_the_parent_is_the_client_s(record: RequestRecord) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    span = span_of(replace(record, traceparent=f"00-{trace}-{parent}-01"))
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}" == trace
    assert f"{span.parent.span_id:016x}" == parent


@pytest.mark.parametrize("header", ["", "nonsense", "00-0-0-01", "\0"])
def test_a_wrong_traceparent_is_none(record: RequestRecord, header: str) -> None:
    assert span_of(replace(record, traceparent=header)).parent is None


def test_what_failed_is_an_error(record: RequestRecord) -> None:
    span = span_of(replace(record, outcome="timeout", model=None, score=None))
    assert not span.status.is_ok
    assert not span.status.is_unset
    assert "boute.score" not in (span.attributes or {})


def test_a_missing_exporter_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(InputError, match="pip install opentelemetry-exporter-otlp-proto-http"):
        RequestTracer()
