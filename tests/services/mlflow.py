"""An MLflow server of the tests' own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from services.processes import Guard, answers, descendants, free_port, send

START_SECONDS = 180
"""It imports for seconds, and others may keep the processors busy."""

_QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


class PrivateMlflow:
    """A server on a database and a folder of artifacts of its own, which survive ``kill``."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rowcast-mlflow-"))
        self._guard = Guard(self.folder)
        self.port = free_port()
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> PrivateMlflow:
        """Begin, on the same port and data as before if it ran before; return when it answers."""
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env=os.environ | _QUIET, stdout=log, stderr=log, start_new_session=True
            )
        if not answers(self._process, self._ready, time.monotonic() + START_SECONDS):
            raise AssertionError(f"MLflow did not start:\n{self.log.read_text()[-3000:]}")
        return self

    def kill(self) -> None:
        """End it as a loss of power would."""
        assert self._process is not None
        for pid in [*descendants(self._process.pid), self._process.pid]:
            send(pid, signal.SIGKILL)
        self._process.wait(timeout=30)

    def remove(self) -> None:
        """End it and delete its data."""
        if self._process is not None:
            self.kill()
        self._guard.release()

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
