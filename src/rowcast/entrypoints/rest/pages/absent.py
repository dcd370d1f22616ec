"""Where there is nothing: a page with a way home for people; programs are told so in the form of all errors."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI, Request, Response

from rowcast.entrypoints.rest.pages.rendering import show
from rowcast.entrypoints.rest.problems import answer_to, operation_of


def install(app: FastAPI) -> None:
    """Answer for every address that nothing else answers."""
    app.add_exception_handler(HTTPStatus.NOT_FOUND, _absent)


async def _absent(request: Request, error: Exception) -> Response:
    if request.method not in ("GET", "HEAD") or not _for_people(request):
        return answer_to(error, operation_of(request.scope))
    response = show(request, "absent.html")
    response.status_code = HTTPStatus.NOT_FOUND
    return response


def _for_people(request: Request) -> bool:
    """Whether a page is asked for, and rather than JSON; what is below ``/api`` is for programs."""
    if request.url.path.startswith("/api/"):
        return False
    wanted = dict(map(_preference, request.headers.get("accept", "").lower().split(",")))
    page = wanted.get("text/html", 0.0)
    return page > 0 and page >= wanted.get("application/json", 0.0)


def _preference(part: str) -> tuple[str, float]:
    """A type of an Accept header and how much it is liked, from 0 to 1 (RFC 9110, 12.5.1); 0 if that is no number."""
    kind, *parameters = (text.strip() for text in part.split(";"))
    likings = [text.removeprefix("q=") for text in parameters if text.startswith("q=")]
    try:
        return kind, float(likings[0]) if likings else 1.0
    except ValueError:
        return kind, 0.0
