"""Serving the REST application on a socket."""

from __future__ import annotations

import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rowcast.entrypoints.rest.problems import ProblemDetails, ProblemResponse
from rowcast.errors import Conflict

BACKLOG = 2048
GRACE_SECONDS = 10
HEAD_BYTES = 64 * 1024
"""Of a request line and headers that keep coming; what arrives in one piece may be a little longer."""


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


class _Protocol(HttpToolsProtocol):
    """HTTP with an end to its headers, which the parser gathers without one, and with errors in the form of all."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._in_head = False
        self._head_bytes = 0

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._in_head = False
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                self._refuse(status, "head_too_large", "The address or the headers of the request are too long.")

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._in_head = False
        self._refuse(HTTPStatus.BAD_REQUEST, "http_invalid", "This is not a valid HTTP request.")

    def _refuse(self, status: HTTPStatus, code: str, detail: str) -> None:
        problem = ProblemDetails(title=status.phrase, status=status, detail=detail, code=code)
        body = problem.model_dump_json().encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: {ProblemResponse.media_type}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


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
        http=_Protocol,
    )
    return _Server(config, ready)
