"""Traces by OpenTelemetry, sent to a collector over OTLP on HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import Engine, event

from rowcast import __version__
from rowcast.traces import Kind, traceparent

_KINDS = {"server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER, "internal": SpanKind.INTERNAL}
_W3C = TraceContextTextMapPropagator()
_LONGEST_STATEMENT = 500
_SPAN = "rowcast_span"


class _Span:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def tell(self, *, name: str = "", error: str = "", **attributes: str | int) -> None:
        if name:
            self._span.update_name(name)
        if error:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.set_attributes(attributes)


class OtlpTraces:
    """Spans, sent in batches by a thread: a collector that is away costs nothing but the spans. ``close`` it."""

    on = True

    def __init__(self, url: str, *, program: str, ratio: float) -> None:
        """``url`` takes traces, as in http://127.0.0.1:4318/v1/traces; of traces that begin here ``ratio`` are kept."""
        self._provider = TracerProvider(
            resource=Resource.create({SERVICE_NAME: program, SERVICE_VERSION: __version__}),
            sampler=ParentBased(TraceIdRatioBased(ratio)),
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
        self._tracer = self._provider.get_tracer("rowcast")

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    @contextmanager
    def span(
        self, name: str, kind: Kind = "internal", parent: str | None = None, **attributes: str | int
    ) -> Iterator[_Span]:
        with self._tracer.start_as_current_span(
            name, _context(parent), _KINDS[kind], attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            before = traceparent.set(_carried())
            try:
                yield _Span(span)
            except BaseException as error:
                span.set_status(Status(StatusCode.ERROR, getattr(error, "code", type(error).__name__)))
                raise
            finally:
                traceparent.reset(before)

    def past(self, name: str, parent: str, seconds: float, **attributes: str | int) -> None:
        ended = time.time_ns()
        begun = ended - int(seconds * 1e9)
        context = _context(parent)
        self._tracer.start_span(name, context, SpanKind.CONSUMER, attributes, start_time=begun).end(ended)

    def follow(self, engine: Engine) -> None:
        """A span for each statement of the engine that is part of a trace: its text, which holds no values."""

        @event.listens_for(engine, "before_cursor_execute")
        def begin(_c: Any, _cursor: Any, statement: str, _p: Any, context: Any, _many: bool) -> None:
            if context is not None and trace.get_current_span().is_recording():
                span = self._tracer.start_span(statement.split(None, 1)[0], kind=SpanKind.CLIENT)
                span.set_attribute("db.system.name", engine.dialect.name)
                span.set_attribute("db.query.text", statement[:_LONGEST_STATEMENT])
                setattr(context, _SPAN, span)

        @event.listens_for(engine, "after_cursor_execute")
        def end(_c: Any, _cursor: Any, _statement: str, _p: Any, context: Any, _many: bool) -> None:
            _end(context)

        @event.listens_for(engine, "handle_error")
        def fail(failure: Any) -> None:
            _end(failure.execution_context, type(failure.original_exception).__name__)


def _end(context: Any, error: str = "") -> None:
    span: trace.Span | None = getattr(context, _SPAN, None)
    if span is not None:
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end()
        delattr(context, _SPAN)


def _context(parent: str | None) -> Any:
    """None is the current one; one that is no traceparent begins a trace of its own."""
    return (
        None if parent is None else _W3C.extract({"traceparent": parent}, trace.set_span_in_context(trace.INVALID_SPAN))
    )


def _carried() -> str:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent", "")
