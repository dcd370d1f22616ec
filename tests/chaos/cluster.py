"""What runs: a database, a broker, APIs and workers, each a real process that can be killed and started again."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import httpx2
from services import PrivatePostgres, PrivateRabbit
from services.processes import answers, free_port

APIS, WORKERS = 2, 3
READY_SECONDS = 60
FAULTS = ("unexpected ", "a fault of ours", "Traceback")
DRAIN_SECONDS = 60

LEASE_SECONDS = 10
MAX_ATTEMPTS = 50
"""More than there are kills of workers: no task is to fail because it was unlucky that often."""


class Member(Protocol):
    """What can be killed. ``start`` returns when it works, or for a worker when it is under way."""

    def start(self) -> object: ...

    def kill(self) -> None: ...


class Program:
    """``rowcast api`` or ``rowcast worker``, with a data folder and a log of its own."""

    def __init__(self, name: str, command: str, folder: Path, settings: dict[str, str], port: int | None) -> None:
        self.log = folder / f"{name}.log"
        self.fell: int | None = None
        """Its exit code, when it ended and nobody had killed it."""
        self._name = name
        self._command = [sys.executable, "-m", "rowcast", command]
        self._port = port
        self._settings = {**settings, "data_dir": str(folder / name)} | ({"port": str(port)} if port else {})
        self._process: subprocess.Popen[bytes] | None = None
        # One for all that is asked: to make one reads all certificates, which takes a processor from what starts.
        apart = httpx2.Limits(max_keepalive_connections=0)
        self._http = httpx2.Client(limits=apart, timeout=5, trust_env=False, verify=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")}
        settings = {"tracking_url": "none", **self._settings}
        environment |= {f"ROWCAST_{name.upper()}": value for name, value in settings.items()}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        if self._port is not None:
            answers(self._process, self._alive, time.monotonic() + READY_SECONDS)

    def kill(self) -> None:
        """End it, and only it: what it has started has to notice by itself."""
        self._look()
        assert self._process is not None
        self._process.kill()
        self._process.wait(timeout=30)

    def stop(self) -> None:
        """Ask it to end."""
        self._look()
        if self._process is not None and self.runs:
            self._process.terminate()

    def close(self) -> None:
        """Wait for its end, or make it end."""
        if self._process is None:
            return
        try:
            code = self._process.wait(timeout=DRAIN_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
            self._process.kill()
            self._process.wait(timeout=30)
        if code != 0 and self.fell is None:
            self.fell = code if code is not None else -1

    def ready(self) -> bool:
        """Whether it answers, and has all that it needs."""
        return self._ask("ready") == 200

    def _look(self) -> None:
        if self._process is not None and not self.runs and self.fell is None:
            self.fell = self._process.returncode

    def _alive(self) -> bool:
        return self._ask("live") == 200

    def _ask(self, what: str) -> int | None:
        try:
            return self._http.get(f"{self.url}/api/v1/health/{what}").status_code
        except httpx2.TransportError:
            return None


class Cluster:
    """All of it, in one folder, with further settings for the programs. ``remove`` ends whatever runs."""

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rowcast-chaos-"))
        self.key = secrets.token_urlsafe(32)
        self.database = PrivatePostgres()
        self.broker = PrivateRabbit()
        settings = {
            **settings,
            "database_url": self.database.url,
            "broker_url": self.broker.url,
            "storage_url": (self.folder / "storage").as_uri(),
            "api_key": self.key,
            "lease_seconds": str(LEASE_SECONDS),
            "max_attempts": str(MAX_ATTEMPTS),
            "threads": "1",
            "grpc_port": "0",
        }
        self.apis = [Program(f"api-{n}", "api", self.folder, settings, free_port()) for n in range(1, APIS + 1)]
        self.workers = [Program(f"worker-{n}", "worker", self.folder, settings, None) for n in range(1, WORKERS + 1)]

    @property
    def urls(self) -> list[str]:
        return [api.url for api in self.apis]

    @property
    def members(self) -> dict[str, list[tuple[str, Member]]]:
        """What can be killed, with names, by kind."""
        return {
            "worker": [(f"worker {number}", worker) for number, worker in enumerate(self.workers, 1)],
            "api": [(f"API {number}", api) for number, api in enumerate(self.apis, 1)],
            "broker": [("the broker", self.broker)],
            "database": [("the database", self.database)],
        }

    def start(self) -> None:
        """Begin, all at the same time but for the services, and return when every API is ready."""
        self.database.start()
        self.broker.start()
        for program in (*self.workers, *self.apis):
            program.start()
        self.await_ready()

    def await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        for api in self.apis:
            while not api.ready():
                if not api.runs or time.monotonic() > deadline:
                    raise AssertionError(f"an API is not ready:\n{api.log.read_text()[-3000:]}")
                time.sleep(0.1)

    def stop(self) -> list[str]:
        """End the programs as one should; which of them ended before, or not well."""
        programs = [*self.apis, *self.workers]
        for program in programs:
            program.stop()
        for program in programs:
            program.close()
        return [f"{program.log.stem} ended with {program.fell}" for program in programs if program.fell is not None]

    def faults(self) -> Iterator[str]:
        """Lines in the logs of the programs that tell of what nobody had expected."""
        for program in (*self.apis, *self.workers):
            for line in program.log.read_text().splitlines():
                if any(sign in line for sign in FAULTS):
                    yield f"{program.log.stem}: {line}"

    def remove(self, *, keep_logs: bool) -> None:
        """End what still runs and delete what was made, logs too unless they are wanted."""
        try:
            self.stop()
        finally:
            self.broker.remove()
            self.database.remove()
        if not keep_logs:
            shutil.rmtree(self.folder, ignore_errors=True)
