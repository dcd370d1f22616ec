"""The servers that are compared, each pinned to the cores it is given."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from rowcast.client import Client
from rowcast.client.credentials import load

START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A Rowcast that answers, with the administrator's key."""

    client: Client
    key: str


@contextmanager
def rowcast(
    folder: Path, cores: str, *, processes: int = 1, settings: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """``rowcast up`` on a data folder of its own."""
    own = {"ROWCAST_DATA_DIR": str(folder), "ROWCAST_PORT": "0", "ROWCAST_PROCESSES": str(processes)}
    settings = own | dict(settings or {})
    with _process([sys.executable, "-m", "rowcast", "up"], cores, settings) as process:
        _until(lambda: _answers(load(folder).url) if (folder / "credentials.json").exists() else False, process)
        saved = load(folder)
        with Client(saved.url, saved.api_key) as client:
            yield Server(client, saved.api_key or "")


@contextmanager
def floor(bundle: Path, core: str, port: int) -> Iterator[str]:
    """The floor application on the same kind of server; gives its address."""
    command = [sys.executable, "-m", "uvicorn", "benchmarks.floor:app", "--port", str(port), "--no-access-log"]
    command += ["--log-level", "warning", "--lifespan", "off", "--no-server-header"]
    url = f"http://127.0.0.1:{port}"
    with _process(command, core, {"FLOOR_BUNDLE": str(bundle)}) as process:
        _until(lambda: _listens(url), process)
        yield url


@contextmanager
def _process(command: list[str], cores: str, settings: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    pinned = ["taskset", "-c", cores, *command]
    process = subprocess.Popen(pinned, env=os.environ | dict(settings), stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/api/v1/health/ready").status_code == 200
    except httpx2.TransportError:
        return False


def _listens(url: str) -> bool:
    try:
        httpx2.post(url, content=b'{"rows": []}')
    except httpx2.ConnectError:
        return False
    except httpx2.TransportError:
        return True
    return True


def _until(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("a server of the benchmark did not start")
        time.sleep(0.1)
