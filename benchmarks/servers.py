"""The servers that are compared, each pinned to the cores it is given."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
    folder: Path,
    cores: str,
    *,
    processes: int = 1,
    settings: Mapping[str, str] | None = None,
    commands: Sequence[str] = ("up",),
) -> Iterator[Server]:
    """``rowcast up``, or what else of its commands serves together, on a data folder of its own."""
    own = {"ROWCAST_DATA_DIR": str(folder), "ROWCAST_PORT": "0", "ROWCAST_PROCESSES": str(processes)}
    settings = own | dict(settings or {})
    with ExitStack() as stack:
        for command in reversed(commands):
            process = stack.enter_context(_process([sys.executable, "-m", "rowcast", command], cores, settings))
        _until(lambda: _answers(load(folder).url) if (folder / "credentials.json").exists() else False, process)
        saved = load(folder)
        with Client(saved.url, saved.api_key) as client:
            yield Server(client, saved.api_key or "")


@contextmanager
def floor(bundle: Path, *cores: str) -> Iterator[str]:
    """The floor application on the same kind of server, a process on each of these cores; gives its address."""
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.floor", str(port)]
    with ExitStack() as stack:
        for core in cores:
            process = stack.enter_context(_process(command, core, {"FLOOR_BUNDLE": str(bundle)}))
        _until(lambda: _listeners(port) == len(cores), process)
        yield f"http://127.0.0.1:{port}"


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listeners(port: int) -> int:
    """How many sockets listen on that port."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(fields[1].endswith(f":{port:04X}") and fields[3] == "0A" for fields in sockets)


def _until(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("a server of the benchmark did not start")
        time.sleep(0.1)
