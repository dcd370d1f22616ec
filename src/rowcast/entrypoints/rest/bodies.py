"""JSON bodies, read strictly: what the framework lets through breaks further in, where no field is to blame."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRoute

from rowcast.errors import InvalidInput


class JsonRoute(APIRoute):
    """A route whose JSON body is JSON: no NaN, no number that none can hold, no half of a surrogate pair.

    For every router with operations that take a model as their body.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, request.receive))

        return strictly


class _JsonRequest(Request):
    async def json(self) -> Any:
        """The body as data.

        Raises:
            InvalidInput: it is no JSON.
        """
        try:
            return msgspec.json.decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise not_json() from error


def not_json() -> InvalidInput:
    """What a body gets that cannot be read. It does not repeat what the reader says, which may quote the body."""
    return InvalidInput(
        "json_invalid",
        "The body is no JSON that can be read: it is UTF-8 text, with null for a value that is not known.",
    )
