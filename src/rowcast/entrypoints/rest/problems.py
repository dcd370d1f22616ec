"""Errors on REST: one table from kind to status, one form (RFC 9457 problem details)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowcast import errors
from rowcast.datasets.texts import path_of
from rowcast.errors import Problem, RowcastError
from rowcast.traces import request_id

STATUS: dict[type[RowcastError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.PaymentRequired: HTTPStatus.PAYMENT_REQUIRED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TimedOut: HTTPStatus.GATEWAY_TIMEOUT,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Cancelled: HTTPStatus.CONFLICT,
    errors.Internal: HTTPStatus.INTERNAL_SERVER_ERROR,
}
RETRY_AFTER_SECONDS = "2"

log = logging.getLogger(__name__)


class ProblemDetails(BaseModel):
    """The body of every error (RFC 9457)."""

    type: str = Field(default="about:blank", description="Always about:blank; `code` tells.", examples=["about:blank"])
    title: str = Field(description="The status in words.", examples=["Not Found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(
        description="What went wrong and what to do next.",
        examples=["There is no model 'loans'. Train one, or list what there is: GET /api/v1/models."],
    )
    code: str = Field(description="Stable name of what went wrong.", examples=["model_not_found"])
    problems: list[Problem] = Field(default_factory=list, description="The places at fault, by row and field.")


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


Responses = dict[int | str, dict[str, Any]]
"""Responses of an operation by status, as its OpenAPI description has them."""


def documented(*statuses: int) -> Responses:
    """OpenAPI responses for these error statuses, in the one form all errors have."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def render(error: RowcastError) -> ProblemResponse:
    status = STATUS[type(error)]
    body = ProblemDetails(
        title=status.phrase, status=status, detail=error.message, code=error.code, problems=list(error.problems)
    )
    headers = {}
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers["Retry-After"] = str(error.details.get("retry_after", RETRY_AFTER_SECONDS))
    if status is HTTPStatus.PAYMENT_REQUIRED:
        headers |= error.details.get("headers", {})
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and (asked := request_id()):
        headers["X-Request-ID"] = asked  # the log has it too
    return ProblemResponse(body.model_dump(mode="json", exclude_none=True), status, headers)


def install(app: FastAPI) -> None:
    """Answer every error, the framework's own included, as problem details."""
    app.add_exception_handler(RowcastError, _known_error)
    app.add_exception_handler(HTTPException, _known_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_middleware(LastResort)


def answer_to(error: Exception, operation: str) -> ProblemResponse:
    """The problem that an error is answered with; what is our fault is logged as of this operation.

    Of an error that nobody expected only its type and place are: its text may hold data.
    """
    if isinstance(error, HTTPException) and isinstance(error.__cause__, RowcastError):
        error = error.__cause__  # ours, that the framework met while it read the body
    if isinstance(error, HTTPException):
        return _http_problem(error)
    if not isinstance(error, RowcastError):
        log.error("unexpected %s at %s for %s", type(error).__name__, _place(error), operation)
        return render(
            errors.Internal("internal_error", "Something went wrong on our side; the server's log says where.")
        )
    if isinstance(error, errors.Internal):
        log.error("internal error %s at %s", error.code, operation)
    return render(error)


async def _known_error(request: Request, error: Exception) -> ProblemResponse:
    return answer_to(error, operation_of(request.scope))


async def _validation_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)
    return render(invalid(error))


def invalid(error: RequestValidationError) -> errors.InvalidInput:
    """The same as an error of ours, with every place at fault."""
    problems = [
        Problem(code="field_invalid", field=_field(fault["loc"]), message=str(fault["msg"])) for fault in error.errors()
    ]
    named = ", ".join(sorted({problem.field for problem in problems if problem.field})[:10])
    where = f" at {named}" if named else ""
    return errors.InvalidInput("request_invalid", f"The request is not of the documented form{where}.", problems)


def _field(location: tuple[int | str, ...]) -> str:
    parts = location[1:] if location and location[0] in ("body", "query", "path", "header") else location
    return path_of(parts)


def _http_problem(error: HTTPException) -> ProblemResponse:
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: "There is nothing at this address. The addresses are listed at /api/docs.",
        HTTPStatus.METHOD_NOT_ALLOWED: "This method is not possible here. See /api/docs.",
    }.get(status, str(error.detail))
    late = status is HTTPStatus.REQUEST_TIMEOUT
    code = "body_timeout" if late else status.phrase.lower().replace(" ", "_")
    body = ProblemDetails(title=status.phrase, status=status, detail=detail, code=code)
    return ProblemResponse(body.model_dump(mode="json"), status, error.headers)


class LastResort:
    """ASGI middleware: an error that nobody expected becomes a problem like any other, and goes no further.

    The framework's own would raise it again for the server to log whole. An answer that has begun is broken off.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception as error:  # noqa: BLE001  (the last to see it)
            problem = answer_to(error, operation_of(scope))
            if not begun and scope["type"] == "http":
                await problem(scope, receive, send)


def _place(error: BaseException) -> str:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "?"


def operation_of(scope: Scope) -> str:
    """The operation as it is documented. Not the address that was asked for, which may hold anything, line ends too."""
    return f"{scope.get('method', '?')} {getattr(scope.get('route'), 'path', 'an address of no operation')}"


def describe(document: dict[str, Any]) -> None:
    """Put the form of errors into an OpenAPI document, also where the framework describes its own 422."""
    form = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"].update(form.pop("$defs", {}))
    document["components"]["schemas"]["ProblemDetails"] = form
    for operations in document["paths"].values():
        for operation in operations.values():
            responses = operation["responses"]
            if "HTTPValidationError" in str(responses.get("422", "")):
                del responses["422"]
            for status, response in documented(*_of_every(operation)).items():
                responses.setdefault(str(status), response)
            operation["responses"] = dict(sorted(responses.items()))


def _of_every(operation: dict[str, Any]) -> list[int]:
    """Error statuses that no operation has to name, for they come with having parameters, a body, or a caller."""
    statuses = []
    if "parameters" in operation or "requestBody" in operation:
        statuses.append(422)
    if "requestBody" in operation:
        statuses += [408, 413]
    if "security" in operation:
        statuses += [401, 403, 429, 503]
    return statuses
