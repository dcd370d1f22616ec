"""Shared by all tests: the built-in example, and a real server in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import httpx2
import pytest

from rowcast.client import Client

EXAMPLE = Path(str(files("rowcast.examples"))) / "sba_loans.csv"
START_SECONDS = 60


class Server:
    """``rowcast up`` on a data folder and a free port."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.data_dir = data_dir
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self.log = data_dir.parent / f"{data_dir.name}.log"

    def start(self) -> Server:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")}
        environment |= {f"ROWCAST_{name.upper()}": value for name, value in self.settings.items()}
        command = [sys.executable, "-m", "rowcast", "up", "--port", "0", "--data-dir", str(self.data_dir)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        self._wait_until_ready()
        return self

    @property
    def credentials(self) -> Path:
        return self.data_dir / "credentials.json"

    @property
    def url(self) -> str:
        return str(json.loads(self.credentials.read_text())["url"])

    @property
    def key(self) -> str:
        return str(json.loads(self.credentials.read_text())["api_key"])

    def client(self) -> Client:
        return Client(self.url, self.key)

    def kill(self) -> None:
        """End the server as a crash would, and only it: its children have to notice by themselves."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)

    def stop(self) -> int:
        """Ask the server to end, and give its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def _wait_until_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if self.credentials.exists() and httpx2.get(f"{self.url}/api/v1/health/ready").status_code == 200:
                    return
            except (httpx2.TransportError, ValueError):
                pass
            time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()[-5000:]}")


@pytest.fixture(scope="session")
def example() -> Path:
    """The built-in table of loans."""
    return EXAMPLE


@pytest.fixture(scope="session")
def server_class() -> type[Server]:
    """For modules that need a server of their own."""
    return Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a worker that change nothing that others rely on."""
    running = Server(tmp_path_factory.mktemp("server") / "data").start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[Client]:
    with server.client() as connected:
        yield connected


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A server of a test's own, to kill and start again."""
    running = Server(tmp_path / "data").start()
    yield running
    running.stop()
