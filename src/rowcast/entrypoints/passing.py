"""Passing requests on to another server of the same installation, and its answers back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import httpx2
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

CONNECT_SECONDS = 30.0
"""For the other server to take a connection; it may just be starting."""

SILENCE_SECONDS = 300.0
"""For the other server to begin or go on with an answer."""

_BETWEEN_TWO = frozenset(
    {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"proxy-connection"}
)
"""Headers that are about a connection, and not about what is sent over it."""

_FORWARDED = (b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto")
_HANDSHAKE = b"sec-websocket-"
_AWAY = 1012
"""The code by which a stream is closed for a server that is not there."""

_NO_CODES = (1005, 1006)
"""What stands for none: it is never sent."""

Said = Callable[[Scope], list[tuple[bytes, bytes]]]
"""Headers to send along with a request, in the place of any of their names."""

Absent = Callable[[Scope, Receive, Send], Awaitable[None]]
"""Answers a request in place of a server that is not there."""


class Passing:
    """ASGI application that has the server at ``url`` answer. What it is asked and answers goes through piece by piece;
    the address and the host that were called go along as X-Forwarded headers, and what is ``said`` beside."""

    def __init__(self, url: str, absent: Absent, said: Said = lambda scope: []) -> None:
        self._url = url.rstrip("/")
        self._absent = absent
        self._said = said
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS),
            # A connection that is kept may be closed by the other side just when it is used again.
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
            verify=url.startswith("https:"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._stream(scope, receive, send)
        else:
            await self._request(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = None if scope["method"] in ("GET", "HEAD") else _sent(receive)
        request = self._http.build_request(
            scope["method"], self._url + _address(scope), headers=self._headers(scope), content=body
        )
        try:
            response = await self._http.send(request, stream=True)
        except httpx2.TransportError:
            await self._absent(scope, receive, send)
            return
        try:
            headers = [(name.lower(), value) for name, value in response.headers.raw]
            headers = [header for header in headers if header[0] not in _BETWEEN_TWO]
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for piece in response.aiter_raw():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()

    def _headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        said = self._said(scope)
        names = {name for name, _ in said}
        return [*(header for header in _forwarded(scope) if header[0] not in names), *said]

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # that somebody would like to be connected
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in self._headers(scope)
            if name != b"host" and not name.startswith(_HANDSHAKE)
        ]
        try:
            other = await connect(
                "ws" + self._url.removeprefix("http") + _address(scope),
                additional_headers=headers,
                subprotocols=[Subprotocol(name) for name in scope["subprotocols"]] or None,
                user_agent_header=None,
                compression=None,
                max_size=None,
                ping_interval=None,
                proxy=None,
                open_timeout=CONNECT_SECONDS,
            )
        except (OSError, WebSocketException):  # refused, broken off, or led to an address that is no stream's
            await send({"type": "websocket.close", "code": _AWAY})
            return
        async with other:
            with suppress(OSError):  # whoever asked has gone
                await send({"type": "websocket.accept", "subprotocol": other.subprotocol})
                await _both(_to(other, receive), _from(other, send))


async def _both(*ways: Awaitable[None]) -> None:
    """Until one of them ends; then the other is over too."""
    running = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in running:
            way.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _to(other: ClientConnection, receive: Receive) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        await other.send(message["bytes"] if message.get("bytes") is not None else message["text"])


async def _from(other: ClientConnection, send: Send) -> None:
    try:
        while True:
            piece = await other.recv()
            await send({"type": "websocket.send", "bytes" if isinstance(piece, bytes) else "text": piece})
    except ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd and closed.rcvd.code not in _NO_CODES else _AWAY
        await send({"type": "websocket.close", "code": code})


async def _sent(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise httpx2.WriteError("whoever asked has gone")
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _address(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return path.decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")


def _forwarded(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The request's headers, with who called and by which address: what a proxy before this one said of that stays."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    known = dict(headers)
    kept = [header for header in headers if header[0] not in _BETWEEN_TWO and header[0] not in _FORWARDED]
    client, scheme = scope.get("client"), b"https" if scope["scheme"] in ("https", "wss") else b"http"
    callers = [known.get(b"x-forwarded-for", b""), client[0].encode() if client else b""]
    said = (
        b", ".join(filter(None, callers)),
        known.get(b"x-forwarded-host", known.get(b"host", b"")),
        known.get(b"x-forwarded-proto", scheme),
    )
    return [*kept, *zip(_FORWARDED, said, strict=True)]
