"""The client over gRPC: the messages of ``rowcast.v1``, with the errors and the key of the other clients."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar
from uuid import uuid4

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2 as details
from grpc_status import rpc_status

from rowcast import errors
from rowcast.client.answers import failure_of
from rowcast.client.uploads import CHUNK_BYTES, Source, opened
from rowcast.errors import Problem, RowcastError
from rowcast.v1 import rowcast_pb2 as v1
from rowcast.v1.common_pb2 import Readiness
from rowcast.v1.data import data_of, fill, put_row
from rowcast.v1.datasets_pb2 import FeatureSchema
from rowcast.v1.models_pb2 import Algorithms, Model, ModelVersionDetail
from rowcast.v1.predictions_pb2 import Predictions
from rowcast.v1.tasks_pb2 import Task

SERVICE = v1.DESCRIPTOR.services_by_name["Rowcast"]
RUNNING = ("queued", "running")

ONCE = frozenset(
    {"Predict", "SubmitPrediction"}
    | {name for name, form in SERVICE.methods_by_name.items() if "idempotency_key" in form.input_type.fields_by_name}
)
"""Methods that may be called again under one idempotency key, and are by the library where a server has died."""

RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": SERVICE.full_name, "method": name} for name in sorted(ONCE)],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.25s",
                "maxBackoff": "8s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
"""The service configuration of gRPC's proposal A6."""

KINDS: dict[grpc.StatusCode, type[RowcastError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidInput,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.FAILED_PRECONDITION: errors.PaymentRequired,
    grpc.StatusCode.PERMISSION_DENIED: errors.Forbidden,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ABORTED: errors.Conflict,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.TooMany,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.TimedOut,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.CANCELLED: errors.Cancelled,
}

Row = Mapping[str, Any]
_Reply = TypeVar("_Reply", bound=Message)


class GrpcClient:
    """A Rowcast server over gRPC, at ``host:port``. Calls raise the errors of ``rowcast.errors``.

    With ``tls`` the connection is TLS, and so it is with ``authority``, the PEM of who signed the server's certificate
    where that is none of the public ones, and with ``own``, the PEM of a certificate chain and of its key, for servers
    that ask for one. ``timeout`` is each call's deadline, in
    seconds. Predictions, and what starts work, are asked again where the server is away or dies. Use it as a context
    manager, or close it.
    """

    def __init__(
        self,
        target: str,
        api_key: str,
        *,
        authority: bytes | None = None,
        own: tuple[bytes, bytes] | None = None,
        tls: bool = False,
        timeout: float = 60.0,
    ) -> None:
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            ("grpc.service_config", json.dumps(RETRIES)),
        ]
        if not tls and authority is None and own is None:
            self._channel = grpc.insecure_channel(target, options)
        else:
            chain, key = own or (None, None)
            credentials = grpc.ssl_channel_credentials(authority, key, chain)
            self._channel = grpc.secure_channel(target, credentials, options)
        self._metadata = [("authorization", f"Bearer {api_key}")]
        self._timeout = timeout
        self._methods: dict[str, Callable[..., Any]] = {}

    def __enter__(self) -> GrpcClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def call(self, method: str, request: Any, reply: type[_Reply], *, timeout: float | None = None) -> _Reply:
        """What any method of the service answers, one message to one; a stream of requests goes in as an iterator.

        Raises:
            RowcastError: it was refused, or there was no answer in time.
        """
        try:
            answer = self._method(method)(request, metadata=self._said(method), timeout=timeout or self._timeout)
        except grpc.RpcError as error:
            raise error_of(error) from None
        assert isinstance(answer, reply)
        return answer

    def stream(
        self, method: str, request: Any, reply: type[_Reply], *, timeout: float | None = None
    ) -> Iterator[_Reply]:
        """The messages that a method answers with, as they come; without a deadline unless one is given.

        Raises:
            RowcastError: it was refused, or broke off.
        """
        answers = self._method(method)(request, metadata=self._metadata, timeout=timeout)
        try:
            yield from answers
        except grpc.RpcError as error:
            raise error_of(error) from None
        finally:
            answers.cancel()

    def _said(self, method: str) -> list[tuple[str, str]]:
        return [*self._metadata, ("idempotency-key", str(uuid4()))] if method in ONCE else self._metadata

    def _method(self, name: str) -> Callable[..., Any]:
        if name not in self._methods:
            form = SERVICE.methods_by_name[name]
            sent = "stream" if form.client_streaming else "unary"
            kind = f"{sent}_{'stream' if form.server_streaming else 'unary'}"
            request, reply = GetMessageClass(form.input_type), GetMessageClass(form.output_type)
            make = getattr(self._channel, kind)
            self._methods[name] = make(f"/{SERVICE.full_name}/{name}", request.SerializeToString, reply.FromString)
        return self._methods[name]

    def health(self) -> Readiness:
        """Whether the server can work."""
        return self.call("HealthCheck", v1.HealthCheckRequest(), Readiness)

    def algorithms(self) -> Algorithms:
        """The algorithms with their hyperparameters, types, ranges and defaults."""
        return self.call("GetModelClasses", v1.GetModelClassesRequest(), Algorithms)

    def add_dataset(self, source: Source, *, name: str | None = None, **fields: Any) -> v1.AddTableResponse:
        """Add a CSV or Parquet file as a new version of a dataset; the answer is that version, or the task while it
        is still being read."""
        with opened(source, None) as upload:
            asked = v1.AddTableDetails(filename=upload.filename, name=name)
            fill(asked, fields)
            parts = iter(lambda: upload.file.read(CHUNK_BYTES), b"")
            return self.call("AddTable", _upload(v1.AddTableRequest, asked, parts), v1.AddTableResponse)

    def train(self, **fields: Any) -> Task:
        """Start a training, such as ``dataset="loans", target="status"``."""
        request = v1.TrainModelRequest()
        fill(request, fields)
        return self.call("TrainModel", request, Task)

    def tune(self, **fields: Any) -> Task:
        """Start a search for the best model, such as ``dataset="loans", target="status", seconds=600``."""
        request = v1.TuneModelRequest()
        fill(request, fields)
        return self.call("TuneModel", request, Task)

    def retrain(self, model: str, number: int, **fields: Any) -> Task:
        """Train again with the recipe of a version."""
        request = v1.RetrainModelRequest(name=model, number=number)
        fill(request, fields)
        return self.call("RetrainModel", request, Task)

    def watch(self, task: str | Task) -> Iterator[Task]:
        """The task now and at every change, until it has ended."""
        id_ = task if isinstance(task, str) else task.id
        return self.stream("WatchTask", v1.WatchTaskRequest(task_id=id_), Task)

    def wait(self, task: str | Task, progress: Callable[[Task], None] | None = None) -> Task:
        """The task once it has succeeded.

        Raises:
            RowcastError: it failed, or was cancelled.
        """
        last: Task | None = None
        for last in self.watch(task):
            if progress is not None:
                progress(last)
        if last is None or last.state in RUNNING:
            raise errors.Unavailable("connection_lost", "The stream ended before the task did. Watch it again.")
        if last.state == "cancelled":
            raise errors.Cancelled("task_cancelled", "The task was cancelled before it was done.")
        if last.state != "succeeded":
            raise failure_of(data_of(last.error))
        return last

    def models(self) -> list[Model]:
        """All models that you may see, by name."""
        found: list[Model] = []
        request = v1.ListModelsRequest(limit=500)
        while True:
            page = self.call("ListModels", request, v1.ListModelsResponse)
            found += page.items
            if not page.HasField("next"):
                return found
            request.after = page.next

    def model(self, name: str) -> Model:
        """A model with its aliases and its champion."""
        return self.call("GetModel", v1.GetModelRequest(name=name), Model)

    def version(self, name: str, number: int) -> ModelVersionDetail:
        """A version with all that is needed to use it, judge it and train it again."""
        return self.call("GetModelVersion", v1.GetModelVersionRequest(name=name, number=number), ModelVersionDetail)

    def schema(self, model: str) -> FeatureSchema:
        """What a row for a prediction holds."""
        return self.call("GetFeatureSchema", v1.GetFeatureSchemaRequest(reference=model), FeatureSchema)

    def delete_model(self, name: str) -> None:
        """Remove a model with all its versions."""
        self.call("DeleteModel", v1.DeleteModelRequest(name=name), Empty)

    def metrics(self, model: str) -> v1.GetMetricsResponse:
        """How good a version is on rows held out: ``model`` alone is its champion, or ``name@number``."""
        return self.call("GetMetrics", v1.GetMetricsRequest(model=model), v1.GetMetricsResponse)

    def predict(
        self, model: str, rows: Row | Iterable[Row], *, reasons: int = 0, skip_bad_rows: bool = False,
        timeout: float | None = None,
    ) -> Predictions:  # fmt: skip
        """The answers to a row or to several, in order, with so many reasons each; a missing value is None."""
        request = v1.PredictRequest(model=model, reasons=reasons, skip_bad_rows=skip_bad_rows)
        for row in [rows] if isinstance(rows, Mapping) else rows:
            put_row(request.rows.add(), row)
        return self.call("Predict", request, Predictions, timeout=timeout)


def _upload(form: type[Any], asked: Message, parts: Iterable[bytes]) -> Iterator[Any]:
    yield form(details=asked)
    for part in parts:
        yield form(content=part)


def error_of(error: grpc.RpcError) -> RowcastError:
    """The error that a call ended with, with its code and the places at fault."""
    assert isinstance(error, grpc.Call)
    kind = KINDS.get(error.code(), errors.Internal)
    status = rpc_status.from_call(error)
    found: dict[str, Message] = {}
    for part in status.details if status is not None else ():
        _unpack(part, found)
    info, request, retry = (found.get(name) for name in ("ErrorInfo", "BadRequest", "RetryInfo"))
    code = getattr(info, "reason", error.code().name.lower())
    more = {} if retry is None else {"retry_after": math.ceil(retry.retry_delay.ToTimedelta().total_seconds())}
    problems = [_problem(violation) for violation in getattr(request, "field_violations", ())]
    return kind(code, error.details() or error.code().name, problems, **more)


def _unpack(part: Packed, found: dict[str, Message]) -> None:
    for form in (details.ErrorInfo, details.BadRequest, details.RetryInfo):
        message = form()
        if part.Unpack(message):
            found[form.DESCRIPTOR.name] = message


def _problem(violation: Any) -> Problem:
    """A field as ``rows[0].name`` is of the first row."""
    head, _, field = violation.field.partition(".")
    if head.startswith("rows[") and head[5:-1].isdigit():
        row = int(head[5:-1]) + 1
        return Problem(code=violation.reason, message=violation.description, row=row, field=field or None)
    return Problem(code=violation.reason, message=violation.description, field=violation.field or None)
