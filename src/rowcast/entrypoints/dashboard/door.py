"""What stands before Streamlit: who may come in, what a browser may do with the pages, and the addresses of others."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from urllib.parse import quote, urlsplit

from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rowcast.accounts.profile import SESSION_COOKIE
from rowcast.entrypoints.dashboard.paths import is_asset, is_dashboard, is_page

_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_REFUSED = 4403


class Door:
    """ASGI application: ``pages`` answers what is the dashboard's, for those whose browser brings a session, and
    ``others`` answers the rest. What the session is worth, the server says at every call.

    ``origin`` is an address by which people come, beside the one that is called; ``scripts`` are those that the pages
    run; ``ready`` returns once they can be.
    """

    def __init__(
        self,
        pages: ASGIApp,
        others: ASGIApp,
        *,
        origin: str = "",
        scripts: Iterable[str] = (),
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._pages = pages
        self._others = others
        self._origin = origin
        self._ready = ready
        self._headers = [(name.lower().encode(), value.encode()) for name, value in _security(scripts).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._pages(scope, receive, send)
        elif not is_dashboard(scope["path"]):
            await self._others(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._stream(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_asset(scope["path"]) and not _has_session(scope):
            await _sign_in_first(scope)(scope, receive, send)
            return

        async def safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        await self._pages(scope, receive, safely)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A page elsewhere can make a browser open a stream, with the cookies of its visitor: it is refused."""
        if not self._own(scope):
            await receive()
            await send({"type": "websocket.close", "code": _REFUSED})
            return
        # Two threads that import the same modules at a time can meet with one that is half made.
        await asyncio.to_thread(self._ready)
        # Streamlit would look up this machine's public address, on the internet, to compare the origin with it.
        headers = [header for header in scope["headers"] if header[0] != b"origin"]
        await self._pages({**scope, "headers": headers}, receive, send)

    def _own(self, scope: Scope) -> bool:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        host = (headers.get(b"x-forwarded-host") or headers.get(b"host", b"")).decode("latin-1")
        return not origin or urlsplit(origin).netloc == host or origin == self._origin


def _has_session(scope: Scope) -> bool:
    cookies = b";".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    return any(cookie.strip().startswith(f"{SESSION_COOKIE}=") for cookie in cookies.split(";"))


def _sign_in_first(scope: Scope) -> ASGIApp:
    if not is_page(scope["path"]):
        return PlainTextResponse("Sign in first.", 401)
    query = scope["query_string"].decode("latin-1")
    here = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"/sign-in?next={quote(here, safe='')}", 303, {"Cache-Control": "no-store"})


def _security(scripts: Iterable[str]) -> Mapping[str, str]:
    """Headers that let a browser run no script but Streamlit's and ours, and ask no other server for anything."""
    page = files("streamlit").joinpath("static", "index.html").read_bytes()
    allowed = [*_INLINE.findall(page), *(script.encode() for script in scripts)]
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(each).digest()).decode()}'" for each in allowed)
    return {
        "Content-Security-Policy": f"default-src 'self'; script-src 'self' 'wasm-unsafe-eval' {hashes}; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
        "worker-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
