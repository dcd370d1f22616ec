"""The figures of a further process: told to the first one every second, which shows those of all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from rowcast.adapters.processes.peer import Peer

_TELL_SECONDS = 1.0

Figures = dict[str, dict[str, list[float]]]


class RelayedMetrics:
    """What the first process shows, shown here. ``own`` are the figures of this process. ``start`` it, ``close`` it."""

    def __init__(self, first: Peer, own: Callable[[], Figures]) -> None:
        self._first = first
        self._own = own
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="figures", daemon=True)

    def start(self) -> None:
        """Begin to tell. To be called once."""
        self._thread.start()

    def close(self) -> None:
        """Tell no more."""
        self._closing.set()
        self._thread.join()

    def text(self, accept: str) -> tuple[str, str]:
        """As the first process shows them, and the content type.

        Raises:
            Unavailable: the first process has just ended.
        """
        self._first.tell("measured", os.getpid(), self._own())
        text, content_type = self._first.ask("metrics", accept)
        return str(text), str(content_type)

    def _tell(self) -> None:
        while not self._closing.wait(_TELL_SECONDS):
            self._first.tell("measured", os.getpid(), self._own())
