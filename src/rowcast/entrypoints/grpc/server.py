"""The gRPC server: threads, for the library's is quicker on them than on an event loop; predictions are answered past
both, see ``direct``."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from anyio import CapacityLimiter
from grpc_health.v1 import health, health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from rowcast.entrypoints.grpc import rowcast_v1
from rowcast.entrypoints.grpc.calls import Crowding, Threads, given_to
from rowcast.entrypoints.grpc.direct import Direct, Unary
from rowcast.entrypoints.grpc.inference import Inference
from rowcast.entrypoints.grpc.loop import Loop
from rowcast.entrypoints.grpc.unsent import Unsent
from rowcast.entrypoints.services import Services
from rowcast.errors import Conflict, InvalidInput, NotFound
from rowcast.inference import v2_pb2
from rowcast.settings import Settings

THREADS = 32
OPEN_THREADS = 8
"""For what anyone may ask without a key, as long as they like."""

MOST_CALLS = 256
"""Calls that are answered or wait for it, by threads and past them each; more are told to come again."""

WAITING = 64
"""Calls that wait for something, or stream, at the same time; they keep no processor busy."""

STREAMS = 2 * MOST_CALLS
"""Calls at the same time on a connection."""

KEEPALIVE = {
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.http2.min_ping_interval_without_data_ms": 10_000,
    "grpc.http2.max_ping_strikes": 5,
}
"""Connections whose other end is gone are found out within some minutes; clients may ask every ten seconds."""


def start(services: Services, stack: ExitStack, *, beside: int) -> str:
    """Serve until the stack closes, on the port of the settings or else the one after ``beside``, that of REST. Returns
    the address.

    Raises:
        Conflict: something else has the port, or the address is not this machine's.
        InvalidInput: a certificate or key is missing, or cannot be read.
    """
    settings = services.settings
    services = replace(services, turns=CapacityLimiter(services.turns.total_tokens))  # one is for one event loop
    loop = Loop()
    stack.callback(loop.close)
    threads, waiting = Threads(THREADS, MOST_CALLS, "grpc"), Threads(WAITING, WAITING, "grpc-waiting")
    anyone = Threads(OPEN_THREADS, WAITING, "grpc-anyone")
    refusing = ThreadPoolExecutor(1, thread_name_prefix="grpc-refusing")
    crowding = Crowding(threads, refusing, services.measures)
    server = grpc.server(threads, options=_options(settings), interceptors=[crowding])
    inference, rowcast = Inference(services), rowcast_v1.Rowcast(services, loop)
    unsent = Unsent(THREADS)
    server.add_generic_rpc_handlers((inference.service(unsent), rowcast.service(unsent, waiting)))
    checks = _listed(server, anyone)
    known = Direct(services, loop, inference.direct() | rowcast.direct(), MOST_CALLS)
    public = Direct(services, loop, inference.open() | _direct(checks), MOST_CALLS)  # these keep no known caller out
    attached = [direct for direct in (known, public) if not services.traces.on and direct.attach(server)]
    address = _bound(server, settings, beside)
    server.start()
    for direct in attached:
        direct.open()
    loop.soon(unsent.sweep)

    def stop() -> None:
        checks.enter_graceful_shutdown()
        stopped = server.stop(settings.drain_seconds)
        loop.release()
        stopped.wait()
        for pool in (threads, waiting, anyone, refusing):
            pool.shutdown(wait=False, cancel_futures=True)

    stack.callback(stop)
    return address


def _options(settings: Settings) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", int(settings.processes > 1)),
        ("grpc.max_concurrent_streams", STREAMS),
        *KEEPALIVE.items(),
    ]


def _listed(server: grpc.Server, threads: Threads) -> health.HealthServicer:
    """The services of health and reflection, which name the others."""
    names = [v2_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name, rowcast_v1.DESCRIPTOR.full_name]
    checks = health.HealthServicer(experimental_thread_pool=threads)
    setattr(checks, "Check", given_to(threads, partial(checks.Check)))  # noqa: B010
    # Not by the generated function: it has the library ask for these calls too, whose threads strangers may hold up.
    asked, told = health_pb2.HealthCheckRequest.FromString, health_pb2.HealthCheckResponse.SerializeToString
    methods: dict[str, Any] = {
        "Check": grpc.unary_unary_rpc_method_handler(checks.Check, asked, told),
        "Watch": grpc.unary_stream_rpc_method_handler(_watching(checks, threads, {"", *names}), asked, told),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(health.SERVICE_NAME, methods),))
    for name in ("", *names):
        checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    reflected = reflection.ReflectionServicer([*names, health.SERVICE_NAME, reflection.SERVICE_NAME])
    setattr(reflected, "ServerReflectionInfo", given_to(threads, partial(reflected.ServerReflectionInfo)))  # noqa: B010
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflected, server)
    return checks


def _watching(checks: health.HealthServicer, threads: Threads, names: Collection[str]) -> Callable[..., None]:
    """Its ``Watch``, which keeps every name that it was ever asked for: of a service that there is not and will not be
    the same is said without it."""

    def watch(asked: health_pb2.HealthCheckRequest, context: grpc.ServicerContext, send: Callable[..., None]) -> None:
        if asked.service in names:
            checks.Watch(asked, context, send)
        else:
            send(health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVICE_UNKNOWN))

    watching: Any = given_to(threads, watch)
    watching.experimental_non_blocking = True
    return watching  # type: ignore[no-any-return]


class _Known:
    """What the health service tells whether it knows a service."""

    def set_code(self, code: grpc.StatusCode) -> None:
        raise NotFound("service_unknown", "There is no such service here.")


def _direct(checks: health.HealthServicer) -> dict[str, Unary]:
    async def check(_: None, asked: health_pb2.HealthCheckRequest, key: str | None) -> health_pb2.HealthCheckResponse:
        return checks.Check(asked, _Known())

    return {f"/{health.SERVICE_NAME}/Check": Unary(None, health_pb2.HealthCheckRequest, check)}


def _bound(server: grpc.Server, settings: Settings, beside: int) -> str:
    host, chosen, credentials = settings.host, settings.grpc_port, _credentials(settings)
    ports = [chosen] if chosen is not None else [beside + 1, 0] if beside else [0]
    name = f"[{host}]" if ":" in host else host
    for port in ports:
        address = f"{name}:{port}"
        with suppress(RuntimeError):
            if credentials is None:
                bound = server.add_insecure_port(address)
            else:
                bound = server.add_secure_port(address, credentials)
            if bound:
                return f"{name}:{bound}"
    message = f"Cannot listen on {name}:{chosen} for gRPC. Stop what has the port, or set another: ROWCAST_GRPC_PORT."
    raise Conflict("port_taken", message)


def _credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """What the server proves itself with, and what it asks clients for; None without TLS."""
    if settings.grpc_certificate is None and settings.grpc_key is None and settings.grpc_client_ca is None:
        return None
    if settings.grpc_certificate is None or settings.grpc_key is None:
        message = "TLS of gRPC needs both ROWCAST_GRPC_CERTIFICATE and ROWCAST_GRPC_KEY."
        raise InvalidInput("certificate_incomplete", message)
    pair = (_read(settings.grpc_key), _read(settings.grpc_certificate))
    authority = None if settings.grpc_client_ca is None else _read(settings.grpc_client_ca)
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}). The settings ROWCAST_GRPC_... name it."
        raise InvalidInput("certificate_unreadable", message) from error
