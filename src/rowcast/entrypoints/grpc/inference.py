"""The Open Inference Protocol V2 over gRPC: the same tensors, models and answers as over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import grpc
import numpy as np
from anyio import to_thread
from google.protobuf.json_format import ParseDict

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.grpc.calls import Method, admitted, idempotency_key, service
from rowcast.entrypoints.grpc.direct import Unary
from rowcast.entrypoints.grpc.errors import sentence
from rowcast.entrypoints.grpc.unsent import Unsent
from rowcast.entrypoints.rest.security import PREDICTING, READING, TRAINING
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.v2 import described, repository
from rowcast.entrypoints.v2.infer import Inferred, infer, infer_now, reference_of, served
from rowcast.entrypoints.v2.tensors import TEXT, Asked, Tensor, Wanted, of_raw, of_values, raw_of
from rowcast.entrypoints.v2.together import Caller, Together
from rowcast.errors import InvalidInput, NotFound, RowcastError
from rowcast.inference import v2_pb2 as v2
from rowcast.scoring.loaded import Served

CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The field of ``InferTensorContents`` that holds a datatype; FP16 comes in raw form only."""

DESCRIPTOR = v2.DESCRIPTOR.services_by_name["GRPCInferenceService"]

Context = grpc.ServicerContext


class Inference:
    """The service. Safe to use from any thread."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._together = Together(services, _rendered)
        self.methods = {
            "ServerLive": Method(self._live, None),
            "ServerReady": Method(self._ready, None),
            "ModelReady": Method(self._model_ready, READING),
            "ServerMetadata": Method(self._server, READING),
            "ModelMetadata": Method(self._metadata, READING),
            "ModelInfer": Method(self._infer, PREDICTING),
            "ModelStreamInfer": Method(self._infer_stream, PREDICTING),
            "ModelConfig": Method(self._config, READING),
            "ModelStatistics": Method(self._counts, READING),
            "RepositoryIndex": Method(self._index, READING),
            "RepositoryModelLoad": Method(self._load, TRAINING),
            "RepositoryModelUnload": Method(self._unload, TRAINING),
        }

    def direct(self) -> dict[str, Unary]:
        """What answers without a thread, by its path: see ``direct``."""
        return {
            f"/{DESCRIPTOR.full_name}/ModelInfer": Unary(PREDICTING, v2.ModelInferRequest, self._answered, self._take)
        }

    def open(self) -> dict[str, Unary]:
        """The same of what anyone may ask."""
        return {
            f"/{DESCRIPTOR.full_name}/ServerLive": Unary(None, v2.ServerLiveRequest, self._live_now),
            f"/{DESCRIPTOR.full_name}/ServerReady": Unary(None, v2.ServerReadyRequest, self._ready_now),
        }

    def service(self, unsent: Unsent) -> grpc.GenericRpcHandler:
        """What a server is given."""
        return service(self._services, DESCRIPTOR, self.methods, unsent)

    def _live(self, asked: v2.ServerLiveRequest, context: Context, _: Principal | None) -> v2.ServerLiveResponse:
        return v2.ServerLiveResponse(live=True)

    def _ready(self, asked: v2.ServerReadyRequest, context: Context, _: Principal | None) -> v2.ServerReadyResponse:
        return v2.ServerReadyResponse(ready=repository.is_ready(self._services))

    async def _live_now(self, _: None, asked: v2.ServerLiveRequest, key: str | None) -> v2.ServerLiveResponse:
        return v2.ServerLiveResponse(live=True)

    async def _ready_now(self, _: None, asked: v2.ServerReadyRequest, key: str | None) -> v2.ServerReadyResponse:
        return v2.ServerReadyResponse(ready=await to_thread.run_sync(repository.is_ready, self._services))

    def _server(
        self, asked: v2.ServerMetadataRequest, context: Context, _: Principal | None
    ) -> v2.ServerMetadataResponse:
        return ParseDict(described.SERVER, v2.ServerMetadataResponse())

    def _model_ready(
        self, asked: v2.ModelReadyRequest, context: Context, principal: Principal | None
    ) -> v2.ModelReadyResponse:
        assert principal is not None
        return v2.ModelReadyResponse(ready=repository.is_loaded(self._services, principal, asked.name, asked.version))

    def _metadata(
        self, asked: v2.ModelMetadataRequest, context: Context, principal: Principal | None
    ) -> v2.ModelMetadataResponse:
        found = self._served(principal, asked.name, asked.version)
        assert principal is not None
        versions = repository.versions(self._services, principal, found.model.name)
        return ParseDict(described.metadata(found.model, versions), v2.ModelMetadataResponse())

    def _config(
        self, asked: v2.ModelConfigRequest, context: Context, principal: Principal | None
    ) -> v2.ModelConfigResponse:
        found = self._served(principal, asked.name, asked.version)
        return v2.ModelConfigResponse(config=ParseDict(described.config(found.model), v2.ModelConfig()))

    def _counts(
        self, asked: v2.ModelStatisticsRequest, context: Context, principal: Principal | None
    ) -> v2.ModelStatisticsResponse:
        assert principal is not None
        if asked.name:
            model = self._served(principal, asked.name, asked.version).model
            wanted = [(model.name, model.number)]
        else:
            wanted = [(version.model, version.number) for version, _ in self._services.catalog.listed(principal)]
        counts = [self._services.statistics.shown(name, number) for name, number in wanted]
        return ParseDict({"model_stats": counts}, v2.ModelStatisticsResponse(), ignore_unknown_fields=True)

    def _index(
        self, asked: v2.RepositoryIndexRequest, context: Context, principal: Principal | None
    ) -> v2.RepositoryIndexResponse:
        assert principal is not None
        index = repository.index(self._services, principal, only_ready=asked.ready)
        return ParseDict({"models": index}, v2.RepositoryIndexResponse())

    def _load(
        self, asked: v2.RepositoryModelLoadRequest, context: Context, principal: Principal | None
    ) -> v2.RepositoryModelLoadResponse:
        assert principal is not None
        repository.load(self._services, principal, asked.model_name)
        return v2.RepositoryModelLoadResponse()

    def _unload(
        self, asked: v2.RepositoryModelUnloadRequest, context: Context, principal: Principal | None
    ) -> v2.RepositoryModelUnloadResponse:
        assert principal is not None
        repository.unload(self._services, principal, asked.model_name)
        return v2.RepositoryModelUnloadResponse()

    def _infer(
        self, asked: v2.ModelInferRequest, context: Context, principal: Principal | None
    ) -> v2.ModelInferResponse:
        return self._inferred(asked, principal, idempotency_key(context))

    def _inferred(
        self, asked: v2.ModelInferRequest, principal: Principal | None, key: str | None
    ) -> v2.ModelInferResponse:
        assert principal is not None
        found = self._served(principal, asked.model_name, asked.model_version)
        body = asked.SerializeToString(deterministic=True)
        return _reply(infer_now(self._services, principal, found, body, partial(_call, asked), key))

    def _take(self, principal: Principal, asked: v2.ModelInferRequest, caller: Caller[bytes]) -> bool:
        reference, body = (
            reference_of(asked.model_name, asked.model_version),
            asked.SerializeToString(deterministic=True),
        )
        return self._together.take(principal, reference, body, partial(_call, asked), caller)

    async def _answered(
        self, principal: Principal, asked: v2.ModelInferRequest, key: str | None
    ) -> v2.ModelInferResponse:
        found = await served(self._services, principal, _named(asked.model_name), asked.model_version)
        body = asked.SerializeToString(deterministic=True)
        return _reply(await infer(self._services, principal, found, len(body), body, partial(_call, asked), key))

    def _infer_stream(
        self, calls: Iterator[v2.ModelInferRequest], context: Context, principal: Principal | None
    ) -> Iterator[v2.ModelStreamInferResponse]:
        for number, asked in enumerate(calls):
            if number:  # the first was looked at when the stream began
                principal = admitted(self._services, context, PREDICTING)
            try:
                reply = self._inferred(asked, principal, idempotency_key(context, number))
            except RowcastError as error:
                failed = v2.ModelInferResponse(id=asked.id)
                yield v2.ModelStreamInferResponse(error_message=sentence(error), infer_response=failed)
            else:
                yield v2.ModelStreamInferResponse(infer_response=reply)

    def _served(self, principal: Principal | None, name: str, version: str) -> Served:
        assert principal is not None
        reference = f"{_named(name)}@{version}" if version else _named(name)
        return self._services.catalog.find(principal, reference) or self._services.catalog.get(principal, reference)


def _named(model: str) -> str:
    if not model:
        raise NotFound("model_not_found", "Name a model. The repository index lists those that there are.")
    return model


def _call(asked: v2.ModelInferRequest) -> Asked:
    raw = asked.raw_input_contents
    if raw and len(raw) != len(asked.inputs):
        raise InvalidInput("tensors_invalid", f"There are {len(asked.inputs)} inputs and {len(raw)} raw contents.")
    if raw:
        inputs = [
            of_raw(one.name, one.datatype, one.shape, content) for one, content in zip(asked.inputs, raw, strict=True)
        ]
    else:
        inputs = [_tensor(one) for one in asked.inputs]
    wanted = [Wanted(one.name, bool(raw), one.parameters["classification"].int64_param) for one in asked.outputs]
    return Asked(asked.id, inputs, wanted or None, bool(raw))


def _tensor(one: v2.ModelInferRequest.InferInputTensor) -> Tensor:
    field = CONTENTS.get(one.datatype, "bytes_contents")
    values: Sequence[Any] = getattr(one.contents, field)
    if field == CONTENTS[TEXT]:
        try:
            return of_values(one.name, one.datatype, one.shape, [value.decode() for value in values])
        except UnicodeDecodeError:
            raise InvalidInput("tensors_invalid", f"Input '{one.name}' holds a text that is not UTF-8.") from None
    return of_values(one.name, one.datatype, one.shape, list(values))


def _rendered(done: Inferred) -> bytes:
    return _reply(done).SerializeToString()


def _reply(done: Inferred) -> v2.ModelInferResponse:
    """In raw form where the request came in raw form: some clients read no other."""
    model = done.model
    reply = v2.ModelInferResponse(model_name=model.name, model_version=str(model.number), id=done.asked.id)
    reply.parameters["receipt"].string_param = done.receipt
    for output in done.outputs:
        described = reply.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        if output.binary:
            reply.raw_output_contents.append(raw_of(output.cells))
        elif isinstance(output.cells, np.ndarray):
            described.contents.fp32_contents.extend(output.cells)
        else:
            described.contents.bytes_contents.extend(text.encode() for text in output.cells)
    return reply
