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
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from services.processes import Guard, answers, descendants, free_port, send

START_SECONDS = 180
"""It imports for seconds, and others may keep the processors busy."""

_QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def missing_mlflow_s3() -> str | None:
    """Why MLflow cannot keep artifacts on S3 here, None when it can."""
    return None if find_spec("boto3") else "boto3 is not installed (PyPI: boto3)"


class PrivateMlflow:
    """A server on a database and artifacts of its own, which survive ``kill``: an SQLite and a folder, unless another
    database or an address on S3 is given, which is reached by ``environment``. With ``data_dir`` it is what ``rowcast
    mlflow`` opens on that folder."""

    def __init__(
        self,
        *,
        database: str = "",
        artifacts: str = "",
        environment: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rowcast-mlflow-"))
        self._guard = Guard(self.folder)
        self.port = free_port()
        self.log = self.folder / "log"
        self._database = database or f"sqlite:///{self.folder / 'mlflow.db'}"
        self._artifacts = artifacts or str(self.folder / "artifacts")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")}
        self._environment = inherited | _QUIET | dict(environment or {})
        self._data_dir = data_dir
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> PrivateMlflow:
        """Begin, on the same port and data as before if it ran before; return when it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), cwd=self.folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
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

    def _command(self) -> list[str]:
        if self._data_dir is not None:
            return [sys.executable, "-m", "rowcast", "mlflow", f"--port={self.port}", f"--data-dir={self._data_dir}"]
        return [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--workers", "1", "--backend-store-uri", self._database, "--artifacts-destination", self._artifacts),
        ]

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
