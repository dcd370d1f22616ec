"""What every call over gRPC goes through: who is calling, whether they may, whether there is still time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rowcast.accounts.audit import caller_address
from rowcast.accounts.principal import Principal
from rowcast.entrypoints.grpc.errors import ending, refuse, translated
from rowcast.entrypoints.grpc.loop import over
from rowcast.entrypoints.grpc.unsent import Unsent
from rowcast.entrypoints.measures import Measures
from rowcast.entrypoints.rest.outcome import key_in
from rowcast.entrypoints.rest.security import Rule
from rowcast.entrypoints.services import Services
from rowcast.errors import InvalidInput, TooMany, Unauthenticated

KEY = "idempotency-key"

Metadata = Iterable[tuple[str, str | bytes]]

Handler = Callable[[Any, grpc.ServicerContext, Principal | None], Any]


class Method:
    """How a method is answered: by ``handler``, for callers whom ``rule`` admits; None is anyone. One that ``waits``
    holds a thread without keeping a processor busy, and has threads of its own."""

    def __init__(self, handler: Handler, rule: Rule | None, *, waits: bool = False) -> None:
        self.handler = handler
        self.rule = rule
        self.waits = waits


class Threads(ThreadPoolExecutor):
    """Threads that know how many calls they have, and take no more than ``most``."""

    def __init__(self, count: int, most: int, name: str) -> None:
        super().__init__(count, thread_name_prefix=name)
        self._most = most
        self._calls = 0
        self._lock = threading.Lock()

    @property
    def full(self) -> bool:
        return self._calls >= self._most

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with self._lock:
            self._calls += 1
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: Future[Any]) -> None:
        with self._lock:
            self._calls -= 1


class Crowding(grpc.ServerInterceptor):
    """Tells callers to come again while the threads that would answer them have too much to do."""

    def __init__(self, threads: Threads, refusing: ThreadPoolExecutor, measures: Measures) -> None:
        self._threads = threads
        self._refusing = refusing
        self._measures = measures

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Any], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        handler = continuation(handler_call_details)
        if handler is None or not _threads_of(handler, self._threads).full:
            return handler
        refused = given_to(self._refusing, partial(self._refused, handler_call_details.method[1:]))
        return grpc.stream_unary_rpc_method_handler(refused)  # waits for no message

    def _refused(self, name: str, _: Any, context: grpc.ServicerContext) -> None:
        with _counted(self._measures, context, name):
            refuse(context, ending(too_many(), name))


def too_many() -> TooMany:
    return TooMany("too_many_calls", "The server has too many calls to answer. Try again in a moment.")


def _threads_of(handler: Any, usual: Threads) -> Threads:
    kinds = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
    behaviour = next(filter(None, (getattr(handler, kind, None) for kind in kinds)), None)
    own = getattr(behaviour, "experimental_thread_pool", usual)
    return own if isinstance(own, Threads) else usual


def given_to(threads: ThreadPoolExecutor | None, behaviour: Callable[..., Any]) -> Callable[..., Any]:
    """The behaviour, to be run by these threads: by the attribute that the library looks for."""
    if threads is not None:
        setattr(behaviour, "experimental_thread_pool", threads)  # noqa: B010  (functions declare none)
    return behaviour


def service(
    services: Services,
    descriptor: ServiceDescriptor,
    methods: dict[str, Method],
    unsent: Unsent,
    waiting: Threads | None = None,
) -> grpc.GenericRpcHandler:
    """The service that the descriptor describes, its methods answered by those handlers; ``waiting`` are the threads
    for those that wait.

    Raises:
        AssertionError: a method has no handler, or a handler no method.
    """
    if set(methods) != set(descriptor.methods_by_name):
        raise AssertionError(f"{descriptor.full_name} has other methods than those that are handled")
    handlers = {
        name: _handled(services, descriptor.methods_by_name[name], how, unsent, waiting if how.waits else None)
        for name, how in methods.items()
    }
    return grpc.method_handlers_generic_handler(descriptor.full_name, handlers)


def _handled(
    services: Services, method: MethodDescriptor, how: Method, unsent: Unsent, threads: Threads | None
) -> grpc.RpcMethodHandler[Any, Any]:
    name = f"{method.containing_service.full_name}/{method.name}"
    request: type[Message] = GetMessageClass(method.input_type)
    options: dict[str, Any] = {
        "request_deserializer": request.FromString,
        "response_serializer": lambda reply: reply.SerializeToString(),
    }

    def given(sent: Iterator[Any], context: grpc.ServicerContext) -> Any:
        if method.client_streaming:
            return sent
        return unsent.one(sent, context) if method.input_type.fields else request()  # an empty one is not waited for

    def answer(sent: Iterator[Any], context: grpc.ServicerContext) -> Any:
        with _followed(services, context, name), translated(context, name):
            principal = admitted(services, context, how.rule)
            return how.handler(given(sent, context), context, principal)

    def stream(sent: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        with _followed(services, context, name), translated(context, name):
            principal = admitted(services, context, how.rule)
            yield from how.handler(given(sent, context), context, principal)

    given_to(threads, answer)
    given_to(threads, stream)
    # On the wire one message is a stream of one; the library would wait for it before it is known who calls.
    if method.server_streaming:
        return grpc.stream_stream_rpc_method_handler(stream, **options)
    return grpc.stream_unary_rpc_method_handler(answer, **options)


@contextmanager
def _followed(services: Services, context: grpc.ServicerContext, name: str) -> Iterator[None]:
    """Count the call when it ends, and have a span of it where there are traces."""
    with _counted(services.measures, context, name):
        if not services.traces.on:
            yield
            return
        sent = dict(context.invocation_metadata()).get("traceparent", "")
        with services.traces.span(name, "server", str(sent)) as span:
            try:
                yield
            finally:
                code = _ended_with(context)
                if code != grpc.StatusCode.OK:
                    span.tell(error=code.name.lower())


@contextmanager
def _counted(measures: Measures, context: grpc.ServicerContext, name: str) -> Iterator[None]:
    begun = monotonic()
    try:
        yield
    finally:
        measures.ended(name, _ended_with(context).name, monotonic() - begun)


def _ended_with(context: grpc.ServicerContext) -> grpc.StatusCode:
    code: grpc.StatusCode | None = context.code()  # type: ignore[attr-defined]
    return code or grpc.StatusCode.OK


def admitted(services: Services, context: grpc.ServicerContext, rule: Rule | None) -> Principal | None:
    """Who is calling, if they may; a stream asks this again for every message, for a key may end before it does."""
    if not context.is_active():  # while it waited for a thread
        raise over(context)
    if rule is None:
        return None
    principal = caller(services, context)
    rule.check(principal)
    return principal


def caller(services: Services, context: grpc.ServicerContext) -> Principal:
    """Who is calling, by the key in the metadata.

    Raises:
        Unauthenticated: there is none, or it is not a valid one.
        TooMany: the caller has a limit of requests a second, and reached it.
    """
    principal = identified(services, context)
    if principal.limits is not None:
        services.rates.take(principal)
    return principal


def identified(services: Services, context: grpc.ServicerContext) -> Principal:
    """The same without counting it as a call: for a stream, which asks again while it lasts.

    Raises:
        Unauthenticated: as ``caller``.
    """
    caller_address.set(address_of(context.peer()))
    key = key_of(context.invocation_metadata())
    return services.keyring.remembered(key) or services.keyring.authenticate(key)


def key_of(metadata: Metadata) -> str:
    """The key that a call carries.

    Raises:
        Unauthenticated: there is none.
    """
    sent = {name: value for name, value in metadata if isinstance(value, str)}
    scheme, _, value = sent.get("authorization", "").partition(" ")
    key = value.strip() if scheme.lower() == "bearer" else sent.get("x-api-key", "")
    if not key:
        message = "An API key is needed in the metadata: 'authorization' with 'Bearer rc_...', or 'x-api-key'."
        raise Unauthenticated("key_missing", message)
    return key


def idempotency_key(context: grpc.ServicerContext, number: int | None = None) -> str | None:
    """The idempotency key in the metadata; that of a message on a stream goes with its ``number``.

    Raises:
        InvalidInput: it is none.
    """
    key = idempotency_key_in(context.invocation_metadata())
    return key if key is None or number is None else f"{key}\n{number}"  # no key has line ends


def idempotency_key_in(metadata: Metadata) -> str | None:
    """The same without a stream.

    Raises:
        InvalidInput: as there.
    """
    sent = {value for name, value in metadata if name == KEY and isinstance(value, str)}
    if len(sent) > 1:
        raise InvalidInput("request_invalid", "This call has two different idempotency keys in its metadata: send one.")
    return key_in([(KEY.encode(), value.encode()) for value in sent]) if sent else None


def address_of(peer: str) -> str:
    """The address without its kind and port, as in ``ipv4:127.0.0.1:5000``."""
    return peer.partition(":")[2].rpartition(":")[0].strip("[]")
