"""The thread that keeps MLflow up to date. It waits for MLflow, and nobody waits for it."""

from __future__ import annotations

import logging
import threading
from itertools import chain, repeat

from rowcast.entrypoints.worker.loop import Outage
from rowcast.errors import Cancelled, RowcastError, Unavailable
from rowcast.tasks.mirroring import Mirror

LOOK_SECONDS = 2.0
"""Between two looks at whether something is to be mirrored."""

_PAUSES = (2.0, 4.0, 8.0, 15.0)
_LONGEST_PAUSE = 30.0
"""Seconds between attempts while MLflow does not answer."""

_log = logging.getLogger(__name__)


class MirrorThread:
    """``start`` it once, ``stop`` it."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="mirror", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return when nothing is mirrored any more; what was begun is found again by the next."""
        self._stopping.set()
        self._thread.join()

    def _keep(self) -> None:
        outage = Outage("the mirror in MLflow")
        pauses = chain(_PAUSES, repeat(_LONGEST_PAUSE))
        while not self._stopping.is_set():
            pause = LOOK_SECONDS
            try:
                if self._mirror.step(self._stopping.is_set):
                    pause = 0.0
                outage.over()
                pauses = chain(_PAUSES, repeat(_LONGEST_PAUSE))
            except Cancelled:  # it ends, or another has the turn
                pass
            except Unavailable as error:
                outage.goes_on(error)
                pause = next(pauses)
            except RowcastError as error:
                _log.error("the mirror in MLflow: %s; it goes on", error.code)
                pause = next(pauses)
            except Exception:  # noqa: BLE001  (a thread that ended would be missing until the next start)
                _log.exception("the mirror in MLflow: a fault of ours; it goes on")
                pause = next(pauses)
            self._stopping.wait(pause)
