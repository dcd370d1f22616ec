"""Serving the REST application on a socket."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from math import ceil
from typing import Any

import httptools
import uvicorn
from starlette.types import ASGIApp

from rowcast.entrypoints.rest.at_once import WholeRequests
from rowcast.entrypoints.rest.problems import ProblemDetails, ProblemResponse
from rowcast.entrypoints.rest.proxies import BehindProxies
from rowcast.errors import Conflict
from rowcast.settings import Settings

BACKLOG = 2048
STAND_IN_SECONDS = 30
COLLECT_AFTER = (20_000, 20, 20)
"""How many new objects, and collections of the younger ones, until garbage is looked for. By default it is after 700: a
thousand answers in one call made the collector go through everything there is, for a twentieth of the call's time."""

HEAD_BYTES = 64 * 1024
"""Of a request line and headers that keep coming; what arrives in one piece may be a little longer."""

MOST_UPGRADES = 8
"""Requests for another protocol in what arrives in one piece; nobody has a reason to send two."""

HEAD_SECONDS = 60.0
"""For a request line and headers to arrive; the first may begin with the connection."""


def bind(host: str, port: int, *, processes: int = 1, or_free: bool = False) -> list[socket.socket]:
    """Sockets that listen there, one a process: the system spreads new connections over them. Port 0 takes a free one,
    and so does ``or_free`` when the port is taken.

    Raises:
        Conflict: something else has the port, or the address is not this machine's.
    """
    try:
        listeners = _bound(host, port, processes)
    except OSError as error:
        if or_free:
            return bind(host, 0, processes=processes)
        raise Conflict(
            "port_taken",
            f"Cannot listen on {host}:{port}: {error.strerror}. Stop what has the port, or choose another with --port.",
        ) from error
    for listener in listeners:
        listener.listen(BACKLOG)
    return listeners


def address(host: str, port: int) -> str:
    """By which this machine calls what listens there."""
    name = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104  (compared, not bound)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _bound(host: str, port: int, processes: int) -> list[socket.socket]:
    alone = _socket(host, port, shared=False)
    if processes == 1:
        return [alone]
    # A port that may be shared may be shared with a stranger too: only one that nobody else has will do.
    with alone:
        port = alone.getsockname()[1]
    return [_socket(host, port, shared=True) for _ in range(processes)]


def _socket(host: str, port: int, *, shared: bool) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


class _Protocol(WholeRequests):
    """HTTP with an end to its headers, which the parser gathers without one, and with errors in the form of all."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._in_head = False
        self._head_bytes = 0
        self._expected: asyncio.TimerHandle | None = None
        self._data = self._again = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_expecting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        was_in_head = self._in_head
        self._read(data)
        for _ in range(MOST_UPGRADES):
            if self._again:
                self._read(self._again)
        if self._again:
            self.send_400_response("")
        if self._in_head and self._expected is None:
            self._expect_head()  # only here, for a head that does not come in one piece: most do
        if was_in_head and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._in_head = False
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                self._refuse(status, "head_too_large", "The address or the headers of the request are too long.")

    def _read(self, data: bytes) -> None:
        self._data, self._again = data, b""
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_expecting()
        if not self._is_to_be_read_again():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._is_to_be_read_again():
            super().on_message_complete()

    def _is_to_be_read_again(self) -> bool:
        return self.parser.should_upgrade() and not self._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever asks for another protocol, as curl does for HTTP/2, is answered in this one. The parser takes what
        follows such a head for that protocol's and not for a body: it reads the head again, without what asks."""
        upgrade = sys.exc_info()[1]
        assert isinstance(upgrade, httptools.HttpParserUpgrade)
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":  # it asks for another protocol by itself
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "This is no proxy.")
            return
        head = [b"%b %b HTTP/%b\r\n" % (method, self.url, version)]
        head += [b"%b: %b\r\n" % header for header in self.headers if header[0] not in (b"connection", b"upgrade")]
        head += [] if self.parser.should_keep_alive() else [b"connection: close\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self._again = b"".join([*head, b"\r\n", self._data[upgrade.args[0] :]])

    def _expect_head(self) -> None:
        self._expected = self.loop.call_later(HEAD_SECONDS, self._hang_up)

    def _stop_expecting(self) -> None:
        if self._expected is not None:
            self._expected.cancel()
            self._expected = None

    def _hang_up(self) -> None:
        """Who connects and says nothing, or never comes to the end of their headers, would be kept for ever."""
        self._expected = None
        self.transport.close()

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


class Server(uvicorn.Server):
    """Says when it is ready to answer and when it stops, and can answer for another process that is not there."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        gc.freeze()  # what is there by now stays: no collection need look at it again
        gc.set_threshold(*COLLECT_AFTER)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        await super().shutdown(sockets)

    def stand_in(self, listener: socket.socket) -> Callable[[], None]:
        """Accept connections of that socket too, from the return on, until what is returned is called. For threads,
        once the server is ready."""
        loop = self._loop
        assert loop is not None
        if self.should_exit:
            return lambda: None
        added = asyncio.run_coroutine_threadsafe(self._add(listener.dup()), loop).result(STAND_IN_SECONDS)

        def leave() -> None:
            with suppress(RuntimeError):  # the loop has ended, and this with it
                loop.call_soon_threadsafe(added.close)

        return leave

    async def _add(self, listener: socket.socket) -> asyncio.Server:
        def protocol() -> asyncio.Protocol:
            return _Protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

        added = await asyncio.get_running_loop().create_server(protocol, sock=listener, backlog=BACKLOG)
        self.servers.append(added)
        return added


def server(
    app: ASGIApp,
    settings: Settings,
    *,
    ready: Callable[[], None] = lambda: None,
    stopping: Callable[[], None] = lambda: None,
) -> Server:
    """A server for the application; ``run(sockets=[...])`` serves until SIGINT or SIGTERM, or ``should_exit``."""
    config = uvicorn.Config(
        BehindProxies(app, settings.trusted_proxies) if settings.trusted_proxies else app,
        log_level="warning" if settings.log_level == "info" else settings.log_level,
        access_log=False,
        log_config=None,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=ceil(settings.drain_seconds),
        http=_Protocol,
        proxy_headers=False,
    )
    return Server(config, ready, stopping)
