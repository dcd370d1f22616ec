"""JSON bodies, read strictly: what the framework lets through breaks further in, where no field is to blame."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from itertools import islice
from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from rowcast.datasets.texts import REFUSED, unplain
from rowcast.entrypoints.rest.problems import invalid
from rowcast.errors import InvalidInput

SHOWN_PLACES = 20
SEARCHED_CHARACTERS = 2**16
"""Of more than that with a text that cannot be kept it is not said where: to look would take too long."""

_CONTROLS = ("\\u00", "\\b", "\\f", "\x7f", *map(chr, range(0x80, 0xA0)))
"""Control characters other than breaks and tabs, as they are written in JSON."""


class JsonRoute(APIRoute):
    """A route whose JSON body is JSON: no NaN, no number that none can hold, no half of a surrogate pair; and the texts
    in it can be kept: see ``require_plain``.

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
            InvalidInput: it is no JSON, or a text in it cannot be kept.
        """
        try:
            data = msgspec.json.decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise not_json() from error
        require_plain(data)
        return data


def require_plain(data: Any) -> None:
    """Pass when every database keeps the texts in what was sent, and every screen shows them.

    Raises:
        InvalidInput: they are not plain; the problems name the first that are not.
    """
    # Written anew every other sign stands for itself, so that this takes no longer than reading did.
    written = msgspec.json.encode(data).replace(b"\\\\", b"").decode()
    if not any(control in written for control in _CONTROLS):
        return
    shown = SHOWN_PLACES if len(written) <= SEARCHED_CHARACTERS else 0
    places = list(islice(unplain(data), shown)) or [()]
    raise invalid(RequestValidationError([{"loc": place, "msg": REFUSED} for place in places]))


def not_json() -> InvalidInput:
    """What a body gets that cannot be read. It does not repeat what the reader says, which may quote the body."""
    return InvalidInput(
        "json_invalid",
        "The body is no JSON that can be read: it is UTF-8 text, with null for a value that is not known.",
    )
