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

from rowcast import errors
from rowcast.errors import Problem, RowcastError

STATUS: dict[type[RowcastError], HTTPStatus] = {
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.TimedOut: HTTPStatus.GATEWAY_TIMEOUT,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Cancelled: HTTPStatus.CONFLICT,
    errors.Internal: HTTPStatus.INTERNAL_SERVER_ERROR,
}
RETRY_AFTER_SECONDS = "2"

log = logging.getLogger(__name__)


class ProblemDetails(BaseModel):
    """The body of every error (RFC 9457)."""

    type: str = Field(default="about:blank", examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no model 'loans'. Train one, or list what there is: GET /api/v1/models."])
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
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER_SECONDS
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return ProblemResponse(body.model_dump(mode="json", exclude_none=True), status, headers)


def install(app: FastAPI) -> None:
    """Answer every error, the framework's own included, as problem details."""
    app.add_exception_handler(RowcastError, _rowcast_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _rowcast_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RowcastError)
    if isinstance(error, errors.Internal):
        log.error("internal error %s at %s %s", error.code, request.method, request.url.path)
    return render(error)


async def _validation_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)
    problems = [
        Problem(code="field_invalid", field=_field(fault["loc"]), message=str(fault["msg"])) for fault in error.errors()
    ]
    named = ", ".join(sorted({problem.field for problem in problems if problem.field})[:10])
    where = f" at {named}" if named else ""
    return render(
        errors.InvalidInput("request_invalid", f"The request is not of the documented form{where}.", problems)
    )


def _field(location: tuple[int | str, ...]) -> str:
    parts = location[1:] if location and location[0] in ("body", "query", "path", "header") else location
    return ".".join(str(part) for part in parts)


async def _http_error(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {request.url.path}. The addresses are listed at /api/docs.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not possible here. See /api/docs.",
    }.get(status, str(error.detail))
    body = ProblemDetails(
        title=status.phrase, status=status, detail=detail, code=status.phrase.lower().replace(" ", "_")
    )
    return ProblemResponse(body.model_dump(mode="json"), status, error.headers)


async def _unexpected(request: Request, error: Exception) -> ProblemResponse:
    # The text of an unexpected exception may hold data: only its type and place are logged.
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else "?"
    log.error("unexpected %s at %s for %s %s", type(error).__name__, where, request.method, request.url.path)
    return render(errors.Internal("internal_error", "Something went wrong on our side; the server's log says where."))


def describe(document: dict[str, Any]) -> None:
    """Put the form of errors into an OpenAPI document, also where the framework describes its own 422."""
    form = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    document["components"]["schemas"].update(form.pop("$defs", {}))
    document["components"]["schemas"]["ProblemDetails"] = form
    own = documented(HTTPStatus.UNPROCESSABLE_ENTITY)[HTTPStatus.UNPROCESSABLE_ENTITY]
    for operations in document["paths"].values():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get("422", "")):
                operation["responses"]["422"] = own
