"""Ports and processes, as the private services need them."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

START_SECONDS = 60

_GUARD = """
read -r nothing
[ -z "$1" ] || flock -n "$1" true || exit 0
for process in /proc/[0-9]*; do
    case "$(readlink "$process/cwd")" in "$0" | "$0"/*) kill -9 "${process#/proc/}" ;; esac
done
rm -rf "$0"
"""


def free_port() -> int:
    """A port that nobody listens on, below those that the system gives to outgoing connections: else a client that
    keeps calling a killed server could be given its port, and be connected to itself."""
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port between 20000 and 32000")


class Guard:
    """Ends all that runs in a folder and deletes it when this process ends, however it does: tests are killed too.

    Where several processes use the folder, each holds ``users`` locked, shared, and the last of them to go decides.
    """

    def __init__(self, folder: Path, users: Path | None = None) -> None:
        self._shell = subprocess.Popen(
            ["sh", "-c", _GUARD, str(folder), str(users or "")],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def release(self) -> None:
        """Do so now."""
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(timeout=60)


def answers(process: subprocess.Popen[bytes], ready: Callable[[], bool], deadline: float) -> bool:
    """Wait until it is ready; False when the process has ended or the time is up."""
    while process.poll() is None and time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.05)
    time.sleep(0.1)
    return False


def wait_for(condition: Callable[[], bool], what: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}:\n{log.read_text()[-3000:]}")
        time.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ports(count: int) -> list[int]:
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


def descendants(pid: int) -> list[int]:
    """The processes below it, the lowest first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, children) for found in (*descendants(child), child)]


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and that nobody has asked about yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
