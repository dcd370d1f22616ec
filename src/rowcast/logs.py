"""What the programs say while they run: lines on standard error."""

from __future__ import annotations

import logging
import sys
import time

REPEAT_SECONDS = 60.0


def log_to_stderr(level: str) -> None:
    """Log from this level on."""
    logging.basicConfig(
        level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # the adapter tells what becomes of the connection
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of every request, with its address
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it tells of every broken form, with bytes of it
    logging.getLogger("rowcast.adapters.database.failures").addFilter(NoRepeats())


class NoRepeats(logging.Filter):
    """Lets the same words through once a minute: a database that is away fails every call, and every attempt to reach
    it."""

    def __init__(self, seconds: float = REPEAT_SECONDS) -> None:
        super().__init__()
        self._seconds = seconds
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        moment, words = time.monotonic(), record.getMessage()
        self._said = {said: at for said, at in self._said.items() if moment - at < self._seconds}
        if words in self._said:
            return False
        self._said[words] = moment
        return True
