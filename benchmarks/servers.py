"""The servers that are compared, each pinned to the cores it is given."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2

from rowcast.client import Client
from rowcast.client.credentials import load

START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A Rowcast that answers, with the administrator's key and the number of its process."""

    client: Client
    key: str
    pid: int = 0


@contextmanager
def rowcast(
    folder: Path,
    cores: str,
    *,
    processes: int = 1,
    settings: Mapping[str, str] | None = None,
    commands: Sequence[str] = ("up",),
    module: str = "rowcast",
) -> Iterator[Server]:
    """``rowcast up``, or what else of its commands serves together, on a data folder of its own; ``module`` is what has
    the commands."""
    own = {"ROWCAST_DATA_DIR": str(folder), "ROWCAST_PORT": "0", "ROWCAST_PROCESSES": str(processes)}
    own["ROWCAST_TRACKING_URL"] = "none"  # what is measured shares the processor with nothing
    settings = own | dict(settings or {})
    with ExitStack() as stack:
        for command in reversed(commands):
            process = stack.enter_context(_process([sys.executable, "-m", module, command], cores, settings))
        _until(lambda: _answers(load(folder).url) if (folder / "credentials.json").exists() else False, process)
        saved = load(folder)
        with Client(saved.url, saved.api_key) as client:
            yield Server(client, saved.api_key or "", process.pid)


@contextmanager
def floor(bundle: Path, *cores: str) -> Iterator[str]:
    """The floor application on the same kind of server, a process on each of these cores; gives its address."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.floor", str(port)]
    with ExitStack() as stack:
        for core in cores:
            process = stack.enter_context(_process(command, core, {"FLOOR_BUNDLE": str(bundle)}))
        _until(lambda: _listeners(port) == len(cores), process)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def listening(command: Sequence[str], core: str, settings: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """A server that is told its port by its last argument; gives the port and the number of its process."""
    port = free_port()
    with _process([*command, str(port)], core, settings) as process:
        _until(lambda: _listeners(port) > 0, process)
        yield port, process.pid


def processor_seconds(pid: int) -> float:
    """What a process has used of processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The numbers of a process and of all that it started, directly or not."""
    parents: dict[int, int] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listeners(port: int) -> int:
    """How many sockets listen on that port."""
    tables = [Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6")]
    sockets = [line.split() for table in tables for line in table.splitlines()[1:]]
    return sum(fields[1].endswith(f":{port:04X}") and fields[3] == "0A" for fields in sockets)


def _until(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("a server of the benchmark did not start")
        time.sleep(0.1)
