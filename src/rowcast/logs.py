"""What the programs say while they run: lines on standard error, for people or for programs."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime

from rowcast.traces import request_id, task_id, traceparent

REPEAT_SECONDS = 60.0


def log_to_stderr(level: str, form: str = "text") -> None:
    """Log from this level on, as ``text`` or as a JSON object a line. A line that belongs to a request, a task or a
    trace says to which."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else Lines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # the adapter tells what becomes of the connection
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of every request, with its address
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it tells of every broken form, with bytes of it
    for repeating in ("rowcast.adapters.database.failures", "opentelemetry.exporter.otlp.proto.http.trace_exporter"):
        logging.getLogger(repeating).addFilter(NoRepeats())


class Lines(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        ids = " ".join(f"{name}={value}" for name, value in _ids().items() if name != "trace_id")
        return super().formatMessage(record) + (f" [{ids}]" if ids else "")


class JsonLines(logging.Formatter):
    """For programs: time, level, logger, message, and exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_ids(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def _ids() -> dict[str, str]:
    """What the line is about, as far as that is known."""
    parts = traceparent.get().split("-")
    ids = {"request_id": request_id(), "task_id": task_id.get(), "trace_id": parts[1] if len(parts) > 1 else ""}
    return {name: value for name, value in ids.items() if value}


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
