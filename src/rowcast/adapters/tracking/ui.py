"""MLflow's own pages: of a store that is a file, by its server as a child process; a server has its own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

from rowcast.adapters.tracking.address import file_of, without_password
from rowcast.errors import InvalidInput

_QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its job runner takes three times the memory of all the rest
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


def show(url: str, port: int, started: Callable[[str], None]) -> int:
    """Tell ``started`` where the pages are. Those that are only now opened are there until it is asked to end; the exit
    code.

    Raises:
        InvalidInput: nothing is mirrored.
    """
    if not url:
        message = "Nothing is mirrored in MLflow here: set ROWCAST_TRACKING_URL to the address of an MLflow server."
        raise InvalidInput("tracking_off", message)
    path = file_of(url)
    if path is None:
        started(without_password(url))
        return 0
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")} | _QUIET
    serving = Popen(_command(url, path, port), env=environment)  # noqa: S603  (our own arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: serving.terminate())
    started(f"http://127.0.0.1:{port}")
    serving.wait()
    return 0 if serving.returncode in (0, -signal.SIGTERM, -signal.SIGINT) else 1


def _command(url: str, path: Path, port: int) -> list[str]:
    artifacts = str(path.parent / "artifacts")
    where = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    return [
        *(sys.executable, "-m", "mlflow", "server", *where),
        *("--backend-store-uri", url, "--artifacts-destination", artifacts, "--default-artifact-root", artifacts),
    ]
