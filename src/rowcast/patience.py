"""Waiting at the start for services that are not there yet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import chain, repeat
from typing import TypeVar

from rowcast.entrypoints.worker.loop import Outage
from rowcast.errors import Unavailable

_PAUSES = (0.2, 0.5, 1.0, 2.0)
_LONGEST_PAUSE = 5.0
"""Seconds between attempts to reach a service at the start."""

_T = TypeVar("_T")


class Ended(Exception):
    """The process was asked to end before it had begun."""


class Patience:
    """Tries again until a service is there, with a line in the log when it is missing and one when it is back."""

    def __init__(
        self, what: str, ended: threading.Event, tell: Callable[[Unavailable | None], None] = lambda error: None
    ) -> None:
        self._outage = Outage(what)
        self._ended = ended
        self._tell = tell

    def __call__(self, attempt: Callable[[], _T]) -> _T:
        for pause in chain(_PAUSES, repeat(_LONGEST_PAUSE)):
            try:
                result = attempt()
            except Unavailable as error:
                self._outage.goes_on(error)
                self._tell(error)
            else:
                self._outage.over()
                self._tell(None)
                return result
            if self._ended.wait(pause):
                break
        raise Ended
