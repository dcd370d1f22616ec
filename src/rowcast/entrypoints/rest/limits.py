"""Limits on what a request may bring: the size of its body, and how long a sender may be silent in the middle of it."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowcast.entrypoints.rest.problems import render
from rowcast.errors import TooLarge

SILENCE_SECONDS = 60.0


class BodyLimit:
    """ASGI middleware: answers 413 to a body over the limit and 408 to a sender who stops in the middle of it.

    Uploads have a limit of their own (``uploads.receive``) and are only held to the silence limit here.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, upload_path: str) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.upload_path = upload_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        limited = scope["path"] != self.upload_path
        if limited and _declared(scope) > self.max_bytes:
            await render(self._too_large())(scope, receive, send)
            return
        await self.app(scope, self._counted(receive, limited), send)

    def _counted(self, receive: Receive, limited: bool) -> Receive:
        received = 0
        complete = False

        async def counted() -> Message:
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
            if limited and received > self.max_bytes:
                raise self._too_large()
            return message

        return counted

    def _too_large(self) -> TooLarge:
        return TooLarge("body_too_large", f"The request is larger than the {self.max_bytes:,} bytes allowed here.")


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
