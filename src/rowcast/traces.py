"""Traces: what a call was made of and how long each part took, from the door that took it to the worker that did it.

A context travels as a W3C traceparent: in the header of a request, and in the row of a task, which is what a worker
reads whichever way it came to know of the task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Literal, Protocol

from rowcast.identifiers import new_timed_id

_REQUEST_ID = "rowcast.request_id"
_PLAIN = re.compile(r"[A-Za-z0-9._:-]{1,64}")

Kind = Literal["server", "consumer", "internal"]

traceparent: ContextVar[str] = ContextVar("traceparent", default="")
"""The span that this thread or coroutine is in; empty where none is."""

request: ContextVar[MutableMapping[str, Any] | None] = ContextVar("request", default=None)
"""The request that is answered by this thread or coroutine, as ASGI describes it."""

task_id: ContextVar[str] = ContextVar("task_id", default="")
"""The task that this thread works on; empty where it works on none."""


def request_id() -> str:
    """The id of the request that is answered now, for logs and for whoever is told of an error: as the caller gave it
    in X-Request-ID, or a new one. Empty where there is no request."""
    scope = request.get()
    if scope is None:
        return ""
    if _REQUEST_ID not in scope:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"").decode("latin-1")
        scope[_REQUEST_ID] = given if _PLAIN.fullmatch(given) else new_timed_id()
    found: str = scope[_REQUEST_ID]
    return found


class Span(Protocol):
    """A part of a trace, while it lasts."""

    def tell(self, *, name: str = "", error: str = "", **attributes: str | int) -> None:
        """Say more of it; ``name`` gives it another name, ``error`` says that it failed, and how."""
        ...


class Traces(Protocol):
    """Where spans go. Attributes hold ids, names and counts: never a value of a row, never a secret."""

    @property
    def on(self) -> bool:
        """Whether they go anywhere."""
        ...

    def span(
        self, name: str, kind: Kind = "internal", parent: str | None = None, **attributes: str | int
    ) -> AbstractContextManager[Span]:
        """A span as long as the context: within that of ``parent`` if one is given, even an empty one, else within the
        one that this thread or coroutine is in. An exception ends it as failed."""
        ...

    def past(self, name: str, parent: str, seconds: float, **attributes: str | int) -> None:
        """A span of so many seconds that ends now."""
        ...


class _Nothing:
    def tell(self, *, name: str = "", error: str = "", **attributes: str | int) -> None:
        pass


class Untraced:
    """Spans that go nowhere, at next to no cost."""

    on = False

    @contextmanager
    def span(
        self, name: str, kind: Kind = "internal", parent: str | None = None, **attributes: str | int
    ) -> Iterator[Span]:
        yield _Nothing()

    def past(self, name: str, parent: str, seconds: float, **attributes: str | int) -> None:
        pass
