"""Where ``spending`` takes place: on one machine with nothing else, or on services."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import Protocol

from services.processes import free_port

from chaos.cluster import READY_SECONDS, Cluster, Member, Program


class Stage(Protocol):
    """What is called and killed. ``database_url`` is where its records are."""

    key: str
    folder: Path

    @property
    def urls(self) -> list[str]: ...
    @property
    def database_url(self) -> str: ...
    @property
    def members(self) -> dict[str, list[tuple[str, Member]]]: ...
    def start(self) -> None: ...
    def await_ready(self) -> None: ...
    def remove(self, *, keep_logs: bool) -> None: ...


class Services(Cluster):
    """APIs and workers on PostgreSQL and RabbitMQ."""

    @property
    def database_url(self) -> str:
        return self.database.url


class Laptop:
    """``rowcast up`` on SQLite, in a folder of its own."""

    def __init__(self, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rowcast-spending-"))
        self.key = secrets.token_urlsafe(32)
        given = {**settings, "api_key": self.key, "max_attempts": "50", "threads": "1", "grpc_port": "0"}
        self._server = Program("server", "up", self.folder, given, free_port())

    @property
    def urls(self) -> list[str]:
        return [self._server.url]

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.folder / 'server' / 'rowcast.db'}"

    @property
    def members(self) -> dict[str, list[tuple[str, Member]]]:
        return {"server": [("the server", self._server)]}

    def start(self) -> None:
        self._server.start()
        self.await_ready()

    def await_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self._server.ready():
            if time.monotonic() > deadline:
                raise AssertionError(f"the server is not ready:\n{self._server.log.read_text()[-3000:]}")
            time.sleep(0.1)

    def remove(self, *, keep_logs: bool) -> None:
        self._server.stop()
        self._server.close()
        if not keep_logs:
            shutil.rmtree(self.folder, ignore_errors=True)
