"""The programs that show the dashboard: ``rowcast dashboard``, and the process that ``rowcast up`` has for it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rowcast.logs import log_to_stderr

if TYPE_CHECKING:
    from rowcast.settings import Settings


def dashboard(settings: Settings, api_url: str, port: int, *, started: Callable[[str], None]) -> int:
    """Show the pages of the server at ``api_url``, in a process of their own. Returns the exit code.

    Raises:
        RowcastError: it cannot start, and why.
    """
    from rowcast.entrypoints.dashboard.serving import serve
    from rowcast.entrypoints.rest.serving import address, bind

    log_to_stderr(settings.log_level, settings.log_format)
    _end_when_asked()
    with bind(settings.host, port)[0] as listener:
        url = address(settings.host, listener.getsockname()[1])
        upload_bytes, origin = settings.max_upload_bytes, settings.public_url
        serve(listener, api_url, upload_bytes=upload_bytes, origin=origin, started=lambda: started(url))
    return 0


def with_dashboard(settings: Settings, stack: ExitStack) -> tuple[Settings, socket.socket | None]:
    """The settings with where the dashboard is called, and the socket of one of its own, unless another is named."""
    from rowcast.entrypoints.rest.serving import address, bind

    if settings.dashboard_url:
        return settings, None
    (listener,) = bind("127.0.0.1", 0)
    stack.enter_context(listener)
    return settings.model_copy(update={"dashboard_url": address(*listener.getsockname())}), listener


def show(listener: socket.socket, settings: Settings, api_url: str, stack: ExitStack) -> None:
    """Have a process show the pages once somebody opens one: Streamlit takes a second and a hundred megabytes, and what
    it does is not to slow down predictions."""
    from rowcast.adapters.processes.on_call import OnCall

    given = {
        "api_url": api_url,
        "upload_bytes": settings.max_upload_bytes,
        "origin": settings.public_url,
        "log_level": settings.log_level,
        "log_format": settings.log_format,
    }
    pages = OnCall(listener, (sys.executable, "-c", "from rowcast.dashboards import on_call; on_call()"), given)
    pages.start()
    stack.callback(pages.stop)


def on_call() -> None:
    """The body of that process. It lives no longer than the server, which holds the other end of its input."""
    from rowcast.entrypoints.dashboard.serving import serve

    given = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_server, name="server", daemon=True).start()
    log_to_stderr(given["log_level"], given["log_format"])
    _end_when_asked()
    listener = socket.socket(fileno=given["listener"])
    serve(listener, given["api_url"], upload_bytes=given["upload_bytes"], origin=given["origin"])


def _end_with_the_server() -> None:
    sys.stdin.read()
    os._exit(1)


def _end_when_asked() -> None:
    """uvicorn raises the signal that ended it once more when it is done: that is to end nothing else."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
