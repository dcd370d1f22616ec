"""Browsers: the cookie of their session, where they call from, and whether a page of ours sent the request."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import Request, Response
from starlette.types import Scope

from rowcast.accounts.access import Visitor
from rowcast.accounts.profile import SESSION_COOKIE
from rowcast.errors import Forbidden
from rowcast.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

Headers = Sequence[tuple[bytes, bytes]]
"""Of a request, as ASGI has them: names in small letters."""


def first(headers: Headers, wanted: bytes) -> str:
    """The first header of that name, or nothing."""
    for name, value in headers:
        if name == wanted:
            return value.decode("latin-1")
    return ""


def token_of(headers: Headers) -> str:
    """The session's token that a browser sends with its requests, or nothing."""
    for name, value in headers:
        if name == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                key, _, token = pair.strip().partition("=")
                if key == SESSION_COOKIE:
                    return token
    return ""


def address_of(scope: Scope) -> str:
    """The network address of whoever calls; behind proxies that the settings trust, as these say."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def visitor(request: Request, language: str | None = None) -> Visitor:
    """Whoever calls, before it is known who they are."""
    return Visitor(address_of(request.scope), request.headers.get("user-agent", ""), language)


def require_own_site(scope: Scope, settings: Settings, *, proof: bool = True) -> None:
    """Pass when a page of this server sent the request, or no page did: a page elsewhere can make a browser send its
    cookie along, but neither a header of its own nor another origin than its own.

    Without ``proof``, for requests that the cookie plays no part in, silence will do: no browser is silent.

    Raises:
        Forbidden: a page elsewhere sent it, or it does not show that none did.
    """
    headers: Headers = scope["headers"]
    site = first(headers, b"sec-fetch-site")
    origin = first(headers, b"origin")
    if first(headers, b"x-rowcast-client"):
        return
    if site:
        own = site in ("same-origin", "none")
    elif origin:
        own = origin in (f"{scope['scheme']}://{first(headers, b'host')}", settings.public_url)
    else:
        own = not proof
    if not own:
        raise Forbidden(
            "cross_site",
            "A browser may send this from a page of this server alone; programs send an API key, or X-Rowcast-Client.",
        )


def base_of(request: Request, settings: Settings) -> str:
    """The address by which links to this server begin: as set, else as it was called."""
    return settings.public_url or f"{request.url.scheme}://{request.url.netloc}"


def keep(response: Response, token: str, request: Request, settings: Settings) -> None:
    """Give the browser a session's token. The cookie ends with the browser; the session before, when it is idle."""
    secure = settings.secure or request.url.scheme == "https"
    response.set_cookie(SESSION_COOKIE, token, path="/", secure=secure, httponly=True, samesite="lax")


def drop(response: Response) -> None:
    """Have the browser forget its session."""
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")


def own_path(address: str | None) -> str:
    """The address if it is one on this server, to go on to; else the front door. Browsers take ``//x``, ``/\\x`` and
    ``/<tab>/x`` for the host x."""
    if address and len(address) <= 2000 and address.startswith("/") and not address.startswith("//"):
        parts = urlsplit(address)
        plain = all("!" <= sign <= "~" for sign in address) and "\\" not in address
        if plain and not parts.scheme and not parts.netloc:
            return address
    return "/"
