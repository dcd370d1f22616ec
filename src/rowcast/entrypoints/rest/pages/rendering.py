"""A page put together: its template, words, status, and headers that let browsers do nothing else with it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from anyio import to_thread
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rowcast.accounts.audit import caller_address
from rowcast.accounts.principal import Principal
from rowcast.datasets.texts import is_plain
from rowcast.entrypoints.rest.browsers import address_of, own_path, require_own_site, token_of
from rowcast.entrypoints.rest.pages.languages import language_of
from rowcast.entrypoints.rest.pages.texts import LANGUAGES, Texts
from rowcast.entrypoints.rest.problems import RETRY_AFTER_SECONDS, STATUS
from rowcast.entrypoints.rest.security import services_of
from rowcast.errors import InvalidInput, RowcastError, TooLarge, Unauthenticated

FORM_BYTES = 64 * 1024
MOST_FIELDS = 20

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Addresses may hold a link's secret. With no-referrer browsers would hide from us too that a form is our own.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

SIGN_IN_AGAIN = "/sign-in?next=/account&how=password"
"""After a form that nobody is signed in for any more. Not straight to a provider: no form may lead there."""

_FOLDER = Path(__file__).parent


class PageRoute(APIRoute):
    """A route whose errors are pages too, and whose forms are only taken from pages of ours."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def as_page(request: Request) -> Response:
            caller_address.set(address_of(request.scope))
            try:
                if request.method == "POST":
                    require_own_site(request.scope, services_of(request).settings)
                return await handle(request)
            except RowcastError as error:
                return show(request, "error.html", error=error)

        return as_page


def templates() -> Environment:
    """The templates of all pages; what is put into them is escaped."""
    return Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def show(
    request: Request,
    template: str,
    *,
    error: RowcastError | None = None,
    notice: str = "",
    here: str = "",
    **values: Any,
) -> HTMLResponse:
    """The page, with what went wrong or well on it. ``here`` is the address that shows it again, if it is another."""
    texts = Texts(language_of(request))
    environment: Environment = request.app.state.templates
    content = environment.get_template(template).render(
        texts=texts,
        languages=LANGUAGES,
        here=here or _here(request, values),
        error=texts.error(error) if error else "",
        notice=texts(notice) if notice else "",
        **values,
    )
    status = STATUS[type(error)] if error else HTTPStatus.OK
    headers = dict(HEADERS)
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE) and error:
        headers["Retry-After"] = str(error.details.get("retry_after", RETRY_AFTER_SECONDS))
    return HTMLResponse(content, status, headers)


def go(path: str) -> RedirectResponse:
    """On to another page of ours."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, {"Cache-Control": "no-store"})


async def fields(request: Request) -> dict[str, str]:
    """What a form was filled in with.

    Raises:
        InvalidInput: it is no form.
        TooLarge: there is more of it than anyone would type.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise TooLarge("body_too_large", f"The request is larger than the {FORM_BYTES:,} bytes allowed here.")
    try:
        found = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"))
    except ValueError:
        raise _unreadable() from None
    if not all(map(is_plain, found.values())):
        raise _unreadable()
    return found


def _unreadable() -> InvalidInput:
    return InvalidInput("form_invalid", "The form cannot be read. Open the page again.")


async def who(request: Request) -> Principal | None:
    """Whose browser it is; None when nobody is signed in with it."""
    sessions, token = services_of(request).sessions, token_of(request.headers.raw)
    if not token:
        return None
    try:
        return sessions.remembered(token) or await to_thread.run_sync(sessions.authenticate, token)
    except Unauthenticated:
        return None


def to_sign_in(request: Request) -> RedirectResponse:
    """To the sign-in page, and from there back here."""
    query = request.url.query
    return go("/sign-in?" + urlencode({"next": own_path(request.url.path + (f"?{query}" if query else ""))}))


def _here(request: Request, values: Mapping[str, Any]) -> str:
    """The address that shows this page again, also when it is the answer to a form."""
    kept = {name: values[name] for name in ("token", "next") if values.get(name)}
    return request.url.path + (f"?{urlencode(kept)}" if kept else "")
