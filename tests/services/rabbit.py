"""A RabbitMQ of the tests' own."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from services.certificates import write_certificates
from services.processes import START_SECONDS, Guard, alive, answers, descendants, listens, ports, send, wait_for

USER, PASSWORD = "app", "s3cret"
HOME = Path("/usr/lib/rabbitmq")


def missing_rabbit() -> str | None:
    """Why no private RabbitMQ can run here, None when one can."""
    return None if _rabbit_sbin() and shutil.which("epmd") else "RabbitMQ is not installed (Debian: rabbitmq-server)"


class PrivateRabbit:
    """A broker in a folder of its own, with the management API. Durable queues survive ``kill`` and ``stop``.

    Another process reaches a broker that runs by making this of the same folder.
    """

    def __init__(self, folder: Path | None = None, *, tls: bool = False) -> None:
        """``tls`` has it listen on ``tls_port`` too, with a certificate that ``authority`` signed."""
        self.folder = folder or Path(tempfile.mkdtemp(prefix="rowcast-rabbit-"))
        self._guard = None if folder else Guard(self.folder)
        self.log = self.folder / "log"
        known = self._known()
        self.port, self.management_port, self._node_port, self._epmd_port = known.get("ports") or ports(4)
        self._pids: dict[str, int] = known.get("pids", {})
        self._processes: list[subprocess.Popen[bytes]] = []
        self.tls_port = ports(1)[0] if tls else None
        self.authority = self.folder / "authority.pem"

    @property
    def url(self) -> str:
        """The address of the virtual host that is always there."""
        return self.url_of("/")

    @property
    def management_url(self) -> str:
        return f"http://127.0.0.1:{self.management_port}"

    def url_of(self, vhost: str) -> str:
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{vhost.replace('/', '%2F')}"

    def start(self) -> PrivateRabbit:
        """Begin, on the same ports and data as before if it ran before; return when it answers."""
        if not (self.folder / "rabbitmq.conf").exists():
            self._configure()
        if "epmd" not in self._pids:
            # Erlang would start one by itself, which would outlive the broker.
            self._run("epmd", "epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port))
            wait_for(lambda: listens(self._epmd_port), "epmd", self.log)
        process = self._run("broker", str(self._program("rabbitmq-server")))
        if not answers(process, self._ready, time.monotonic() + START_SECONDS):
            raise AssertionError(f"RabbitMQ did not start:\n{self.log.read_text()[-3000:]}")
        (self.folder / "running.json").write_text(json.dumps({"ports": self._all_ports, "pids": self._pids}))
        return self

    def kill(self) -> None:
        """End it as a loss of power would, as far as a process can tell."""
        self._end("broker", signal.SIGKILL)
        wait_for(lambda: not self._named(), "epmd to forget the broker", self.log)

    def freeze(self) -> None:
        """Stop it in its tracks: its connections stay, and nothing is answered any more."""
        for pid in [self._pids["broker"], *descendants(self._pids["broker"])]:
            send(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was."""
        for pid in [*descendants(self._pids["broker"]), self._pids["broker"]]:
            send(pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it; the data stay."""
        self._end("broker", signal.SIGTERM)

    def remove(self) -> None:
        """End it and the daemon, and delete its data."""
        self._end("broker", signal.SIGKILL)
        self._end("epmd", signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._guard is not None:
            self._guard.release()

    def reap(self) -> None:
        """Take note of the end of what was started here and ended by others."""
        for process in self._processes:
            process.poll()

    def create_vhost(self) -> str:
        """The address of a new, empty virtual host."""
        name = f"test_{uuid4().hex[:12]}"
        self.request("PUT", f"/api/vhosts/{name}")
        return self.url_of(name)

    def drop_vhost(self, url: str) -> None:
        self.request("DELETE", f"/api/vhosts/{url.rpartition('/')[2]}")

    def request(self, method: str, path: str, body: object = None) -> object:
        """Ask the management API; the answer's JSON, or None."""
        request = urllib.request.Request(self.management_url + path, method=method)
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        request.add_header("Content-Type", "application/json")
        request.data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def control(self, *arguments: str) -> str:
        """Run rabbitmqctl, as in ``control("set_disk_free_limit", "1000GB")``; what it printed. Takes a second."""
        command = [str(self._program("rabbitmqctl")), "--quiet", *arguments]
        done = subprocess.run(
            command, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def _configure(self) -> None:
        user = {"name": USER, "password": PASSWORD, "tags": "administrator"}
        everything = {"user": USER, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
        definitions = self.folder / "definitions.json"
        definitions.write_text(json.dumps({"users": [user], "vhosts": [{"name": "/"}], "permissions": [everything]}))
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.management_port}\n"
            f"log.console = true\nlog.console.level = warning\nlog.file = false\n"
            f"disk_free_limit.absolute = 50MB\nload_definitions = {definitions}\n{self._encryption()}"
        )

    def _encryption(self) -> str:
        if self.tls_port is None:
            return ""
        key, certificate = write_certificates(self.authority)
        return (
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}\nssl_options.cacertfile = {self.authority}\n"
            f"ssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n"
        )

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),  # where the cookie is
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"private{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "logs"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Two schedulers that do not spin: tests share the cores.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
        }

    def _run(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self._pids[name] = process.pid
        self._processes.append(process)
        return process

    def _end(self, name: str, number: signal.Signals) -> None:
        """Send the signal to the process and what it has started, and wait for the end of all."""
        if name not in self._pids:
            return
        pid = self._pids.pop(name)
        family = [*descendants(pid), pid]
        for member in family:
            send(member, number)
        wait_for(lambda: not any(map(alive, family)), f"the end of the {name}", self.log)
        self.reap()

    def _known(self) -> dict[str, Any]:
        running = self.folder / "running.json"
        return json.loads(running.read_text()) if running.exists() else {}

    @property
    def _all_ports(self) -> list[int]:
        return [self.port, self.management_port, self._node_port, self._epmd_port]

    def _program(self, name: str) -> Path:
        sbin = _rabbit_sbin()
        assert sbin is not None
        return sbin / name

    def _ready(self) -> bool:
        try:
            self.request("GET", f"/api/health/checks/port-listener/{self.port}")
        except (urllib.error.URLError, OSError):
            return False
        return True

    def _named(self) -> bool:
        names = subprocess.run(["epmd", "-port", str(self._epmd_port), "-names"], stdout=subprocess.PIPE, check=False)
        return f"private{self.port} ".encode() in names.stdout


@contextmanager
def shared_rabbit(folder: Path) -> Iterator[PrivateRabbit]:
    """One broker for all processes that name the same folder: the first to come starts it, the last to go ends it.
    It takes five seconds of a core to start and 150 MB to run."""
    folder.mkdir(exist_ok=True)
    with (folder / "turn").open("a") as turn, (folder / "users").open("a") as users:
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        broker = PrivateRabbit(folder / "broker")
        if not broker.folder.exists():
            broker.folder.mkdir()
            broker.start()
        guard = Guard(broker.folder, folder / "users")
        fcntl.flock(turn, fcntl.LOCK_UN)
        try:
            yield broker
        finally:
            fcntl.flock(turn, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_UN)
            guard.release()
            broker.reap()


def _rabbit_sbin() -> Path | None:
    """The folder of its own programs: those on Debian's PATH insist on an account and a configuration of their own."""
    found = sorted(HOME.glob("lib/rabbitmq_server-*/sbin"))
    return found[-1] if found else None
