"""Limits on what a request may bring: the size of its body, and how long a sender may be silent in the middle of it."""

from __future__ import annotations

import asyncio
from re import Pattern

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowcast.entrypoints.rest.problems import render
from rowcast.errors import TooLarge

SILENCE_SECONDS = 60.0


class BodyLimit:
    """ASGI middleware: answers 413 to a body over the limit and 408 to a sender who stops in the middle of it.

    ``uploads`` are the paths of operations that have a limit of their own (``uploads.receive``): they are only held to
    the silence limit here.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, uploads: Pattern[str]) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        max_bytes = None if self.uploads.fullmatch(scope["path"]) else self.max_bytes
        try:
            limited = within(scope, receive, max_bytes)
        except TooLarge as error:
            await render(error)(scope, receive, send)
            return
        await self.app(scope, limited, send)


def within(scope: Scope, receive: Receive, max_bytes: int | None) -> Receive:
    """What receives the request's body within the limits, raising TooLarge, or HTTPException 408, where it is not.

    Raises:
        TooLarge: the body says beforehand that it will be.
    """
    if max_bytes is not None and _declared(scope) > max_bytes:
        raise _too_large(max_bytes)
    received = 0
    complete = False

    async def limited() -> Message:
        nonlocal received, complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "The rest of the request did not arrive.") from None
        received += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if max_bytes is not None and received > max_bytes:
            raise _too_large(max_bytes)
        return message

    return limited


def check_size(size: int, max_bytes: int) -> None:
    """Pass when a body of so many bytes is within the limit.

    Raises:
        TooLarge: it is not.
    """
    if size > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge("body_too_large", f"The request is larger than the {max_bytes:,} bytes allowed here.")


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


async def whole_body(receive: Receive) -> bytes:
    """The body in one piece.

    Raises:
        ClientDisconnect: there is nobody left to answer.
    """
    pieces: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
