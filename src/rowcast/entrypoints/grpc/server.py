"""The gRPC server: threads, for a threaded server answers half as much again as one on an event loop."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from rowcast.entrypoints.grpc import rowcast_v1
from rowcast.entrypoints.grpc.calls import Crowding, Threads
from rowcast.entrypoints.grpc.inference import Inference
from rowcast.entrypoints.grpc.loop import Loop
from rowcast.entrypoints.services import Services
from rowcast.errors import Conflict, InvalidInput
from rowcast.inference import v2_pb2
from rowcast.settings import Settings

THREADS = 8
MOST_CALLS = 256
"""Calls that are answered or wait for a thread; more are told to come again."""

WAITING = 64
"""Calls that wait for something, or stream, at the same time; they keep no processor busy."""

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
    loop = Loop()
    stack.callback(loop.close)
    threads, waiting = Threads(THREADS, MOST_CALLS, "grpc"), Threads(WAITING, WAITING, "grpc-waiting")
    refusing = ThreadPoolExecutor(1, thread_name_prefix="grpc-refusing")
    server = grpc.server(threads, options=_options(settings), interceptors=[Crowding(threads, refusing)])
    server.add_generic_rpc_handlers(
        (Inference(services).service(), rowcast_v1.Rowcast(services, loop).service(waiting))
    )
    checks = _listed(server)
    address = _bound(server, settings, beside)
    server.start()

    def stop() -> None:
        checks.enter_graceful_shutdown()
        stopped = server.stop(settings.drain_seconds)
        loop.release()
        stopped.wait()
        for pool in (threads, waiting, refusing):
            pool.shutdown(wait=False, cancel_futures=True)

    stack.callback(stop)
    return address


def _options(settings: Settings) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", settings.max_body_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", int(settings.processes > 1)),
        *KEEPALIVE.items(),
    ]


def _listed(server: grpc.Server) -> health.HealthServicer:
    """The services of health and reflection, which name the others."""
    names = [v2_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name, rowcast_v1.DESCRIPTOR.full_name]
    checks = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    for name in ("", *names):
        checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return checks


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
