"""What the server answered, as views or as the errors of ``rowcast.errors``."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

from rowcast import __version__
from rowcast.client.credentials import is_local
from rowcast.client.retries import retry_after
from rowcast.datasets.texts import path_of
from rowcast.errors import (
    Conflict,
    Forbidden,
    Internal,
    InvalidInput,
    NotFound,
    PaymentRequired,
    Problem,
    RowcastError,
    TimedOut,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)

BY_STATUS: dict[int, type[RowcastError]] = {
    400: InvalidInput, 401: Unauthenticated, 402: PaymentRequired, 403: Forbidden, 404: NotFound,
    408: TimedOut, 409: Conflict, 413: TooLarge, 422: InvalidInput, 429: TooMany,
    502: Unavailable, 503: Unavailable, 504: TimedOut,
}  # fmt: skip


def parse(view: type[T], response: httpx2.Response) -> T:
    """The body as that view.

    Raises:
        Internal: the body is something else, as from a server of another version.
    """
    try:
        return TypeAdapter(view).validate_json(response.content)
    except ValidationError:
        raise Internal(
            "unexpected_answer",
            f"The server answered {response.request.method} {response.request.url.path} in a form that this client "
            f"({__version__}) does not know. Check the address, and that client and server are of the same version.",
            status=response.status_code,
        ) from None


def request_of(view: type[ModelT], value: ModelT | None, fields: dict[str, Any]) -> dict[str, Any]:
    """The body of a request: the view as it is, or made from fields; only what was set.

    Raises:
        InvalidInput: a field is unknown or has no right value; the problems name the fields.
    """
    try:
        request = view.model_validate(fields) if value is None else value
    except ValidationError as error:
        raise InvalidInput("request_invalid", "The request is not valid.", _problems(error)) from None
    return request.model_dump(mode="json", exclude_unset=True)


def error_from(response: httpx2.Response) -> RowcastError:
    """The error that an answer of 4xx or 5xx stands for; its status is in ``details``."""
    body = _object(response)
    kind = BY_STATUS.get(response.status_code, InvalidInput if response.status_code < 500 else Internal)
    details: dict[str, Any] = {"status": response.status_code}
    if (wait := retry_after(response)) is not None:
        details["retry_after"] = wait
    if "code" not in body:
        return kind(f"http_{response.status_code}", _plain_message(response), **details)
    message = str(body.get("detail") or body.get("title") or response.reason_phrase)
    return kind(str(body["code"]), message, _listed(body), **details)


def failure_of(error: dict[str, Any] | None) -> RowcastError:
    """The error that a failed task keeps."""
    if not error or "code" not in error:
        return Internal("task_failed", "The task failed without saying why.")
    return RowcastError.from_dict({"message": "The task failed.", **error})


def unreachable(error: httpx2.TransportError, url: str) -> RowcastError:
    """The error for a call that got no answer. It never carries the exception's own text, which may hold a header."""
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        return InvalidInput(
            "url_invalid", "The call cannot be made: check the address, the API key, and that the file is not changing."
        )
    if isinstance(error, httpx2.ConnectTimeout | httpx2.ConnectError) and "CERTIFICATE" in str(error).upper():
        return Unavailable("certificate_refused", f"The certificate of {url} is not trusted by this machine.")
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout) and is_local(url):
        return Unavailable(
            "server_unreachable", f"Nothing answers at {url}: is the server running? start it with `rowcast up`"
        )
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return Unavailable(
            "server_unreachable", f"Nothing answers at {url}: is the server running? Check the address (ROWCAST_URL)."
        )
    if isinstance(error, httpx2.TimeoutException):
        return Unavailable("no_answer", f"{url} took too long to answer. Try again, or allow a longer timeout.")
    return Unavailable("connection_lost", f"The connection to {url} broke before the answer came. Try again.")


def _object(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = json.loads(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _listed(body: dict[str, Any]) -> list[Problem]:
    try:
        return TypeAdapter(list[Problem]).validate_python(body.get("problems") or [])
    except ValidationError:
        return []


def _problems(error: ValidationError) -> list[Problem]:
    return [
        Problem(code=fault["type"], message=fault["msg"], field=path_of(fault["loc"]) or None)
        for fault in error.errors(include_input=False, include_url=False)
    ]


def _plain_message(response: httpx2.Response) -> str:
    status = f"{response.status_code} {response.reason_phrase}".strip()
    return f"{response.request.url.copy_with(query=None)} answered {status}: is it a Rowcast server?"
