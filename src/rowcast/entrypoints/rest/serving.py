"""Serving the REST application on a socket."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from rowcast.errors import Conflict

BACKLOG = 2048
GRACE_SECONDS = 10


def bind(host: str, port: int, *, or_free: bool = False) -> socket.socket:
    """A socket that listens there; port 0 takes a free one, and so does ``or_free`` when the port is taken.

    Raises:
        Conflict: something else has the port, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if or_free:
            return bind(host, 0)
        raise Conflict(
            "port_taken",
            f"Cannot listen on {host}:{port}: {error.strerror}. Stop what has the port, or choose another with --port.",
        ) from error
    return listener


class _Server(uvicorn.Server):
    """Says when it is ready to answer."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def server(app: FastAPI, *, log_level: str, ready: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """A server for the application; ``run(sockets=[...])`` serves until SIGINT or SIGTERM, or ``should_exit``."""
    config = uvicorn.Config(
        app,
        log_level="warning" if log_level == "info" else log_level,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
    )
    return _Server(config, ready)
