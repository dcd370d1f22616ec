"""The image and compose.yaml, built and run for real: `make compose-test`. Nothing else needs a Docker engine."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from itertools import count
from pathlib import Path

import httpx2
import pytest
import yaml
from services import Prometheus

from rowcast.client import Client
from rowcast.client.grpc import GrpcClient
from rowcast.errors import RowcastError

ROOT = Path(__file__).parents[2]
EXAMPLE = Path(str(files("rowcast.examples"))) / "sba_loans.csv"
PORTS = {
    "HTTP_PORT": "22480",
    "HTTPS_PORT": "22443",
    "RABBITMQ_CONSOLE_PORT": "22472",
    "S3_PORT": "22433",
    "MLFLOW_PORT": "22450",
    "PROMETHEUS_PORT": "22490",
    "GRAFANA_PORT": "22430",
}
URL = f"https://localhost:{PORTS['HTTPS_PORT']}"
OPTIONS = os.environ.get("COMPOSE_OPTIONS", "").split()
RATE = 60
CALLERS = {"rest": 48, "grpc": 16}
"""Calls in a second, whatever becomes of those before, and how many may wait for their answer at the same time."""

pytestmark = pytest.mark.skipif(
    "ROWCAST_COMPOSE_TEST" not in os.environ or not shutil.which("docker"),
    reason="starts all of compose.yaml: make compose-test, with a Docker engine",
)


class Compose:
    """The project, under a name and on ports of its own."""

    def __init__(self, trusted: Path) -> None:
        own = {"COMPOSE_PROJECT_NAME": "rowcast-test", "ROWCAST_PUBLIC_URL": URL, "SSL_CERT_FILE": str(trusted)}
        self.environment = {**os.environ, **PORTS, **own}
        self.trusted = trusted
        self.authority = b""

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self) -> None:
        self.run("scripts/run-compose.sh", *OPTIONS)
        shown = self.run("docker", "compose", "exec", "-T", "nginx", "cat", "/etc/rowcast/tls/tls.crt")
        self.authority = shown.encode()
        self.trusted.write_bytes(self.authority)
        self.environment["ROWCAST_API_KEY"] = self.key

    def containers(self, service: str) -> list[str]:
        return self.run("docker", "compose", "ps", "--quiet", service).split()

    def crash(self, container: str) -> None:
        """As an error of its own would, so that Docker starts it again."""
        pid = self.run("docker", "inspect", "--format", "{{.State.Pid}}", container).strip()
        self.run(*([] if os.geteuid() == 0 else ["sudo"]), "kill", "-KILL", pid)

    @property
    def key(self) -> str:
        return (ROOT / "deploy/compose/secrets/rowcast_api_key").read_text()

    def client(self) -> Client:
        return Client(URL, self.key)

    def grpc(self) -> GrpcClient:
        return GrpcClient(f"localhost:{PORTS['HTTPS_PORT']}", self.key, authority=self.authority)


@pytest.fixture(scope="module")
def compose(tmp_path_factory) -> Iterator[Compose]:
    project = Compose(tmp_path_factory.mktemp("tls") / "tls.crt")
    began = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(project.trusted))
        try:
            project.start()
            print(f"\nup after {time.monotonic() - began:.0f} s")
            yield project
        finally:
            if "KEEP" not in os.environ:
                project.run("docker", "compose", "--profile", "watch", "down", "--volumes")


@pytest.fixture(scope="module")
def model(compose: Compose) -> str:
    with compose.client() as client:
        client.datasets.add(EXAMPLE, name="loans")
        fields = {"preset": "fast", "algorithms": ["lightgbm"], "promote": True}
        client.train_and_wait(dataset="loans", target="MIS_Status", **fields)
    return "loans"


@pytest.fixture(scope="module")
def row(compose: Compose, model: str) -> dict[str, str]:
    with compose.grpc() as client:
        features = [feature.name for feature in client.schema(model).features]
    with EXAMPLE.open(newline="") as file:
        first = next(csv.DictReader(file))
    return {name: first[name] for name in features}


class Load:
    """Calls at a steady rate, each made once and at its time: what is not answered well has failed."""

    def __init__(self, compose: Compose, model: str, row: dict[str, str]) -> None:
        self.failures: list[str] = []
        self._took: list[float] = []
        self._compose, self._model, self._row = compose, model, row
        self._numbers = count()
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        self._began = time.monotonic()
        doors = {"rest": self._rest, "grpc": self._grpc}
        threads = [threading.Thread(target=doors[door]) for door, number in CALLERS.items() for _ in range(number)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
        seconds = time.monotonic() - self._began
        rate, slowest = len(self._took) / seconds, max(self._took, default=0)
        print(f"\n{rate:.1f} calls a second were answered for {seconds:.0f} s, the slowest after {slowest:.1f} s")

    def _calls(self) -> Iterator[None]:
        """Each call that this thread is to make, when it is due. The next one goes to whoever is free: an answer that
        takes long keeps no other call back."""
        while not self._over.wait(max(0.0, self._began + next(self._numbers) / RATE - time.monotonic())):
            yield

    def _rest(self) -> None:
        context = ssl.create_default_context(cadata=self._compose.authority.decode())
        headers = {"Authorization": f"Bearer {self._compose.key}"}
        path = f"/api/v1/models/{self._model}/predict"
        with httpx2.Client(base_url=URL, headers=headers, verify=context, timeout=30) as client:
            for _ in self._calls():
                with self._noted(httpx2.HTTPError):
                    client.post(path, json={"rows": [self._row]}).raise_for_status()

    def _grpc(self) -> None:
        with self._compose.grpc() as client:
            for _ in self._calls():
                with self._noted(RowcastError):
                    client.predict(self._model, self._row)

    @contextmanager
    def _noted(self, failure: type[Exception]) -> Iterator[None]:
        """Note how long a call took, or that it failed."""
        began = time.monotonic()
        try:
            yield
        except failure as error:
            self.failures.append(repr(error))
        else:
            self._took.append(time.monotonic() - began)


def test_all_is_there_at_once_and_nothing_had_to_start_twice(compose):
    ids = compose.run("docker", "compose", "ps", "--all", "--quiet").split()
    found = json.loads(compose.run("docker", "inspect", *ids))
    assert {each["Name"]: each["RestartCount"] for each in found if each["RestartCount"]} == {}
    assert [each["Name"] for each in found if each["State"]["ExitCode"]] == []
    for each in found:
        service = each["Config"]["Labels"]["com.docker.compose.service"]
        bound = [one["HostIp"] for ports in each["HostConfig"]["PortBindings"].values() for one in ports]
        assert service == "nginx" or set(bound) <= {"127.0.0.1"}, service
        secrets = [
            path.read_text() for path in (ROOT / "deploy/compose/secrets").iterdir() if len(path.read_text()) > 20
        ]
        assert not any(secret in json.dumps(each["Config"]["Env"]) for secret in secrets), service


def test_smoke(compose):
    print(compose.run(str(ROOT / ".venv/bin/python"), "scripts/smoke.py", URL))


def test_browsers_are_led_to_tls_and_to_the_dashboard(compose):
    context = ssl.create_default_context(cadata=compose.authority.decode())
    plain = httpx2.get(f"http://localhost:{PORTS['HTTP_PORT']}/models", trust_env=False)
    assert (plain.status_code, plain.headers["location"]) == (308, "https://localhost/models")
    with httpx2.Client(base_url=URL, verify=context, follow_redirects=True, http2=False) as browser:
        assert "Strict-Transport-Security" in browser.get("/sign-in").headers
        assert browser.get("/_stcore/health").text == "ok"


def test_a_server_and_a_worker_die_under_load_and_no_call_fails(compose, model, row):
    load = Load(compose, model, row)
    with compose.client() as client, load.running():
        tasks = [client.tasks.submit_predictions(model, row) for _ in range(20)]
        compose.crash(compose.containers("api")[0])
        compose.crash(compose.containers("worker")[0])
        tasks += [client.tasks.submit_predictions(model, row) for _ in range(20)]
        assert {client.tasks.wait(task).state for task in tasks} == {"succeeded"}
        compose.run("docker", "compose", "up", "--detach", "--wait", "--no-recreate", "--pull", "never")
    assert load.failures == []


def test_servers_are_replaced_under_load_and_no_call_fails(compose, model, row):
    before = compose.containers("api")
    load = Load(compose, model, row)
    with load.running():
        compose.run("scripts/upgrade-compose.sh")
    assert load.failures == []
    after = compose.containers("api")
    assert len(after) == len(before) and not set(after) & set(before)


def test_prometheus_asks_every_server_and_worker(compose):
    watch(compose, "prometheus")
    prometheus = Prometheus(f"http://127.0.0.1:{PORTS['PROMETHEUS_PORT']}")
    parts = len(compose.containers("api") + compose.containers("worker"))
    deadline = time.monotonic() + 90
    while prometheus.targets() != ["up"] * parts or set(prometheus.rules().values()) != {"ok"}:
        assert time.monotonic() < deadline, (prometheus.targets(), prometheus.rules())
        time.sleep(1)
    assert prometheus.values("min by (part) (rowcast_up)")
    panels = json.loads((ROOT / "deploy/grafana/rowcast.json").read_text())["panels"]
    for expression in [target["expr"] for panel in panels for target in panel["targets"]]:
        prometheus.values(expression.replace("$__rate_interval", "1m"))


def test_grafana_has_the_dashboard_and_reaches_prometheus(compose):
    watch(compose, "grafana")
    password = (ROOT / "deploy/compose/secrets/grafana_password").read_text()
    address = f"http://127.0.0.1:{PORTS['GRAFANA_PORT']}/api"
    with httpx2.Client(base_url=address, auth=("admin", password), trust_env=False) as grafana:
        assert grafana.get("/dashboards/uid/rowcast").json()["dashboard"]["title"] == "Rowcast"
        assert grafana.get("/datasources/uid/prometheus/health").json()["status"] == "OK"


def watch(compose: Compose, service: str) -> None:
    """Start a service of the profile, where its image is here or may be pulled."""
    image = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"][service]["image"]
    if "never" in OPTIONS and not compose.run("docker", "images", "--quiet", image):
        pytest.skip(f"there is no {image} here")
    compose.run(
        "docker", "compose", "--profile", "watch", "up", "--detach", "--wait", "--no-recreate", *OPTIONS, service
    )


def test_secrets_are_replaced(compose, model, row):
    for block in blocks("rotate-secrets.md"):
        compose.run("bash", "-euo", "pipefail", "-c", block)
    with compose.client() as client:
        assert client.predict(model, row).receipt
        assert client.tasks.wait(client.tasks.submit_predictions(model, row)).state == "succeeded"


def test_a_backup_is_all_that_is_needed(compose, model, row, tmp_path):
    with compose.client() as client:
        told = client.predict(model, row)
    compose.environment["BACKUP"] = str(tmp_path)
    saving, restoring = blocks("back-up-and-move.md")
    compose.run("bash", "-euo", "pipefail", "-c", saving)
    compose.run("docker", "compose", "down", "--volumes")
    compose.run("bash", "-euo", "pipefail", "-c", restoring)
    compose.start()
    with compose.client() as client:
        assert client.predictions.replay(told.receipt).matches


def test_nothing_is_lost_when_all_stops_and_starts_again(compose, model, row):
    with compose.client() as client:
        told = client.predict(model, row)
    compose.run("docker", "compose", "down")
    compose.start()
    with compose.client() as client:
        again = client.predictions.replay(told.receipt)
        assert again.matches
        assert client.predict(model, row).predictions[0].probability == told.predictions[0].probability


def blocks(page: str) -> list[str]:
    """The commands of a page that are for a running compose.yaml."""
    return re.findall(r"^```bash\n(.*?)^```$", (ROOT / "docs/how-to" / page).read_text(), re.MULTILINE | re.DOTALL)


def _random() -> list[str]:
    """The secrets that nobody could guess."""
    texts = [path.read_text() for path in (ROOT / "deploy/compose/secrets").iterdir()]
    return [text for text in texts if len(text) == 48]
