"""Answers that are made while they are sent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from anyio import CancelScope, to_thread
from fastapi.responses import StreamingResponse
from starlette.concurrency import iterate_in_threadpool
from starlette.types import Receive, Scope, Send


class Stream(StreamingResponse):
    """Ends what makes it when it ends itself, also when it is broken off: files are closed and transactions are over
    then, and not when the garbage collector comes by."""

    def __init__(self, content: Generator[bytes, None, None], **options: Any) -> None:
        self._pieces = _pieces(content)
        super().__init__(self._pieces, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._pieces.aclose()


async def _pieces(content: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in iterate_in_threadpool(content):
            yield piece
    finally:
        with CancelScope(shield=True):
            await to_thread.run_sync(content.close)
