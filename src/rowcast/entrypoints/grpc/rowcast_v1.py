"""The service rowcast.v1.Rowcast: what REST can do, by the same operations, in typed messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.grpc.binding import Binding, Given, render
from rowcast.entrypoints.grpc.calls import Handler, Method, Threads, idempotency_key, service
from rowcast.entrypoints.grpc.direct import Unary
from rowcast.entrypoints.grpc.files import chunks, details_of, request_of
from rowcast.entrypoints.grpc.loop import Loop
from rowcast.entrypoints.grpc.operations import DOWNLOADS, TYPED, UNARY, UPLOADS
from rowcast.entrypoints.grpc.predicting import predicted_soon
from rowcast.entrypoints.grpc.typed import Typed
from rowcast.entrypoints.grpc.unsent import Unsent
from rowcast.entrypoints.rest.security import PREDICTING
from rowcast.entrypoints.services import Services
from rowcast.v1 import rowcast_pb2 as v1
from rowcast.v1.data import data_of

Endpoint = Callable[..., Any]

DESCRIPTOR = v1.DESCRIPTOR.services_by_name["Rowcast"]


class Rowcast:
    """The service. Safe to use from any thread."""

    def __init__(self, services: Services, loop: Loop) -> None:
        self._services = services
        self._loop = loop

    def direct(self) -> dict[str, Unary]:
        """What answers without a thread, by its path: see ``direct``."""
        answer = partial(predicted_soon, self._services)
        return {f"/{DESCRIPTOR.full_name}/Predict": Unary(PREDICTING, v1.PredictRequest, answer)}

    def service(self, unsent: Unsent, waiting: Threads) -> grpc.GenericRpcHandler:
        """What a server is given; ``waiting`` are the threads for methods that wait."""
        typed = Typed(self._services, self._loop).handlers()
        methods = {
            **{name: self._unary(name, endpoint) for name, endpoint in UNARY.items()},
            **{name: self._download(name, endpoint) for name, endpoint in DOWNLOADS.items()},
            **{name: self._upload(name, endpoint) for name, endpoint in UPLOADS.items()},
            **{name: _typed(name, endpoint, typed[name]) for name, endpoint in TYPED.items()},
        }
        return service(self._services, DESCRIPTOR, methods, unsent, waiting)

    def _unary(self, name: str, endpoint: Endpoint) -> Method:
        method = DESCRIPTOR.methods_by_name[name]
        binding, reply = Binding(endpoint, method.input_type), _reply(method)

        def answer(asked: Message, context: grpc.ServicerContext, principal: Principal | None) -> Message:
            answered = binding.call(Given(self._services, principal, data_of(asked), key=idempotency_key(context)))
            return render(self._loop.run(answered, context) if binding.waits else answered, reply())

        return Method(answer, binding.rule, waits=binding.waits)

    def _download(self, name: str, endpoint: Endpoint) -> Method:
        binding = Binding(endpoint, DESCRIPTOR.methods_by_name[name].input_type)

        def answer(asked: Message, context: grpc.ServicerContext, principal: Principal | None) -> Iterator[Message]:
            file = binding.call(Given(self._services, principal, data_of(asked)))
            return self._loop.iterate(chunks(file.body_iterator), context)

        return Method(answer, binding.rule, waits=True)

    def _upload(self, name: str, endpoint: Endpoint) -> Method:
        method = DESCRIPTOR.methods_by_name[name]
        details = method.input_type.fields_by_name["details"].message_type
        assert details is not None
        binding, reply = Binding(endpoint, details), _reply(method)

        def answer(parts: Iterator[Any], context: grpc.ServicerContext, principal: Principal | None) -> Message:
            given = Given(self._services, principal, details_of(parts), request_of(parts), idempotency_key(context))
            return render(self._loop.run(binding.call(given), context), reply())

        return Method(answer, binding.rule, waits=True)


def _typed(name: str, endpoint: Endpoint, handler: Handler) -> Method:
    method = DESCRIPTOR.methods_by_name[name]
    rule = Binding(endpoint, method.input_type).rule
    return Method(handler, rule, waits=name in ("WatchTask", "SubmitPrediction", "PredictStream"))


def _reply(method: MethodDescriptor) -> type[Message]:
    return GetMessageClass(method.output_type)
