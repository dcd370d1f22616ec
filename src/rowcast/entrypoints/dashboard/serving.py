"""Serving the dashboard on a socket."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from rowcast.entrypoints.dashboard.door import Door
from rowcast.entrypoints.dashboard.visitor import API_URL, scripts
from rowcast.entrypoints.passing import Passing

SCRIPT = Path(__file__).parent / "script" / "main.py"
MESSAGE_BYTES = 32 * 2**20
"""Most that a page may send at once, apart from files: what is in its fields."""

PING_SECONDS = 60.0
"""Between two looks at whether a browser is still there, and for its answer: on a busy machine that takes a while."""

STOP_SECONDS = 2


def serve(
    listener: socket.socket,
    api_url: str,
    *,
    upload_bytes: int,
    origin: str = "",
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGINT or SIGTERM: the dashboard of the server at ``api_url``, and that server's own pages beside it.

    ``origin`` is the address by which people come, where it is another than the one that is called.
    """
    from streamlit import App

    from rowcast.entrypoints.dashboard.theme import configure
    from rowcast.entrypoints.dashboard.wall import show_failure

    configure(upload_bytes)
    # It would log whole what the wall logs without the data that may be in it.
    logging.getLogger("streamlit.error_util").addFilter(lambda record: False)
    pages = App(SCRIPT, secrets={API_URL: api_url}, on_script_error=show_failure)
    # While the browser loads what is the same for all pages: the first is not to wait for it.
    loading = threading.Thread(target=_load_pages, daemon=True)
    loading.start()
    app = Door(pages, Passing(api_url, _no_server), origin=origin, scripts=scripts(), ready=loading.join)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws_max_size=MESSAGE_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    _Server(config, started).run(sockets=[listener])


def _load_pages() -> None:
    import_module("rowcast.entrypoints.dashboard.frame")
    # Or Altair holds every part of a plot against its schema, which takes longer than all else that a page does.
    import_module("altair.utils.schemapi").disable_debug_mode()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._started()


async def _no_server(scope: Scope, receive: Receive, send: Send) -> None:
    text = "The server does not answer. Try again in a moment. / Сервер не отвечает. Повторите немного позже."
    await PlainTextResponse(text, 503, {"Retry-After": "2"})(scope, receive, send)
