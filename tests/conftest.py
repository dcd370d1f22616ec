"""Shared by all tests: the built-in example, a real server in a process of its own, and the services it may run on."""

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

sys.path.insert(0, str(Path(__file__).parent))

from services import (
    PrivatePostgres,
    PrivateRabbit,
    PrivateRay,
    PrivateS3,
    missing_postgres,
    missing_prometheus,
    missing_rabbit,
    missing_s3,
    shared_rabbit,
)

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
        # Where a test is not about MLflow, nothing is mirrored: that takes seconds of a processor for every training.
        settings = {"tracking_url": "none", **self.settings}
        environment |= {f"ROWCAST_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "rowcast", "up", "--port", "0", "--data-dir", str(self.data_dir)]
        before = self._saved()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        self._wait_until_ready(before)
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

    def _saved(self) -> int | None:
        """When a server left its address; that of one which ended may by now be another's."""
        return self.credentials.stat().st_mtime_ns if self.credentials.exists() else None

    def _wait_until_ready(self, before: int | None) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        # One client for all attempts: to make one reads all certificates, which takes a processor from what starts.
        with httpx2.Client(verify=False) as http:
            while time.monotonic() < deadline:
                if self.process.poll() is not None:
                    break
                try:
                    if self._saved() != before and http.get(f"{self.url}/api/v1/health/ready").status_code == 200:
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


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PrivatePostgres]:
    """A PostgreSQL for all tests of a worker, not to be harmed."""
    _need(missing_postgres())
    running = PrivatePostgres().start()
    yield running
    running.remove()


@pytest.fixture
def postgres_url(postgres_server: PrivatePostgres) -> Iterator[str]:
    """The address of an empty database of the test's own."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of the test's own, of each kind that Rowcast runs on."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'rowcast.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def private_postgres() -> Iterator[PrivatePostgres]:
    """A PostgreSQL of the test's own, to kill and start again."""
    _need(missing_postgres())
    running = PrivatePostgres().start()
    yield running
    running.remove()


@pytest.fixture(scope="session")
def rabbit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbit]:
    """A RabbitMQ for all tests of all workers, not to be harmed."""
    _need(missing_rabbit())
    folder = tmp_path_factory.getbasetemp()
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    with shared_rabbit((folder if alone else folder.parent) / "rabbit") as running:
        yield running


@pytest.fixture(scope="module")
def rabbit_url(rabbit_server: PrivateRabbit) -> Iterator[str]:
    """The address of an empty virtual host of the module's own."""
    url = rabbit_server.create_vhost()
    yield url
    rabbit_server.drop_vhost(url)


@pytest.fixture
def private_rabbit() -> Iterator[PrivateRabbit]:
    """A RabbitMQ of the test's own, to kill and start again."""
    _need(missing_rabbit())
    running = PrivateRabbit().start()
    yield running
    running.remove()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[PrivateS3]:
    """An S3 for all tests of a worker, not to be harmed."""
    _need(missing_s3())
    running = PrivateS3().start()
    yield running
    running.remove()


@pytest.fixture
def private_s3() -> Iterator[PrivateS3]:
    """An S3 of the test's own, to kill and start again."""
    _need(missing_s3())
    running = PrivateS3().start()
    yield running
    running.remove()


@pytest.fixture(scope="session")
def ray_nodes() -> Iterator[PrivateRay]:
    """A Ray cluster of two nodes for all tests of a worker, to be left with two."""
    running = PrivateRay().start()
    yield running
    running.remove()


@pytest.fixture
def own_services() -> None:
    """For a test that starts PostgreSQL and RabbitMQ by itself."""
    _need(missing_postgres())
    _need(missing_rabbit())


@pytest.fixture(scope="session")
def own_prometheus() -> None:
    """For tests that start a Prometheus by themselves."""
    _need(missing_prometheus())


def _need(missing: str | None) -> None:
    """Skip the test where a service is not installed; on CI nothing is skipped."""
    if missing is None:
        return
    if "CI" in os.environ:
        pytest.fail(f"{missing}: run scripts/setup-services.sh")
    pytest.skip(missing)
