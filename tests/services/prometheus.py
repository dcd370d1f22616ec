"""A Prometheus of the tests' own, and what any one knows."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from services.processes import START_SECONDS, Guard, answers, free_port, send


def missing_prometheus() -> str | None:
    """Why none can run here, None when one can."""
    return None if shutil.which("prometheus") and shutil.which("promtool") else "Prometheus is not installed"


class Prometheus:
    """What the one at an address knows."""

    def __init__(self, url: str) -> None:
        self.url = url

    def values(self, expression: str) -> list[Any]:
        """What an expression of PromQL comes to now, a series each."""
        return list(self._asked("query", query=expression)["result"])

    def targets(self) -> list[str]:
        """Whether those it asks for figures are ``up``, ``down``, or ``unknown`` as yet."""
        return [target["health"] for target in self._asked("targets")["activeTargets"]]

    def rules(self) -> dict[str, str]:
        """Its rules, and whether they were evaluated: ``ok``, ``err``, or ``unknown`` as yet."""
        return {rule["name"]: rule["health"] for group in self._asked("rules")["groups"] for rule in group["rules"]}

    def _asked(self, what: str, **parameters: str) -> Any:
        answer = httpx2.get(f"{self.url}/api/v1/{what}", params=parameters, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


class PrivatePrometheus(Prometheus):
    """One in a folder of its own, with the configuration that is given."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rowcast-prometheus-"))
        self._guard = Guard(self._folder)
        self._log = self._folder / "log"
        self._config = self._folder / "prometheus.yml"
        self._config.write_text(json.dumps(config))  # which is YAML too
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__(f"http://127.0.0.1:{self._port}")

    def start(self) -> PrivatePrometheus:
        """Begin; return when it answers."""
        command = ["prometheus", f"--config.file={self._config}", f"--storage.tsdb.path={self._folder / 'data'}"]
        command.append(f"--web.listen-address=127.0.0.1:{self._port}")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log, start_new_session=True)
        if not answers(self._process, self._ready, time.monotonic() + START_SECONDS):
            raise AssertionError(f"Prometheus did not start:\n{self._log.read_text()[-3000:]}")
        return self

    def remove(self) -> None:
        """End it and delete its data."""
        if self._process is not None:
            send(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)
        self._guard.release()

    def _ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/-/ready", trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False
