"""The pulse of a running task: keeps its lease, writes down its progress, and hears when it is to stop."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType

from rowcast.datasets.ports import Progress
from rowcast.errors import Unavailable
from rowcast.tables import Database
from rowcast.tasks.claims import Claim, ClaimLost, cancel_requested, keep
from rowcast.tasks.ports import Broker

BEAT_SECONDS = 0.35
"""Between two looks at the task's row: at most three a second, so progress costs little and a cancel is heard soon."""

_log = logging.getLogger(__name__)


class Pulse:
    """A thread beside the work, for as long as the block lasts. It writes only when there is progress to tell or the
    lease is a third over."""

    def __init__(self, database: Database, broker: Broker, held: Claim, *, lease_seconds: float) -> None:
        self._database = database
        self._broker = broker
        self._held = held
        self._lease_seconds = lease_seconds
        self._kept_at = time.monotonic()
        self._untold: Progress | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"pulse-{held.id[:8]}", daemon=True)
        self.cancelled = False
        """The owner asked for the task to stop."""
        self.lost = False
        """Somebody else has the task now."""

    def report(self, progress: Progress) -> None:
        """Take note of how far the work is; told at the next beat unless something newer comes first."""
        self._untold = progress

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self.cancelled = self._tell_or_look()
            except ClaimLost:
                self.lost = True
                return
            except Unavailable as error:
                _log.warning("task %s: no pulse, %s", self._held.id, error.code)
            except Exception:  # noqa: BLE001  (without a pulse the task would be taken away in mid-work)
                _log.exception("task %s: a fault of ours in its pulse; it goes on", self._held.id)

    def _tell_or_look(self) -> bool:
        """Whether the owner has asked for it to stop."""
        progress, self._untold = self._untold, None
        if progress is None and time.monotonic() - self._kept_at < self._lease_seconds / 3:
            with self._database.reading() as session:
                return cancel_requested(session, self._held)
        with self._database.transaction() as session:
            cancelled = keep(session, self._held, lease_seconds=self._lease_seconds, progress=progress)
        self._kept_at = time.monotonic()
        self._broker.announce([(self._held.reply_to, self._held.id)])
        return cancelled
