"""A Ray cluster as compute: each job a Ray task, which runs it in a child process on its node."""

from __future__ import annotations

import itertools
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from subprocess import PIPE, Popen
from typing import Any

from rowcast import __version__
from rowcast.datasets.ports import Progress
from rowcast.errors import Cancelled, RowcastError, Unavailable
from rowcast.tasks.ports import COMPUTE_AWAY

_LOOK_SECONDS = 0.1
_KNOCK_SECONDS = 5.0
_CONNECT_SECONDS = 60.0
_STOP_SECONDS = 15.0
"""For a cancelled job to be gone from its node."""

_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0", "PYTHONWARNINGS": "ignore"}
_AWAY = "The Ray cluster does not answer. Check that it runs, and that ROWCAST_COMPUTE_URL is its address."

_log = logging.getLogger(__name__)

Words = SimpleQueue[dict[str, Any] | None]
"""What one job says; None when it is over."""


class RayCompute:
    """The nodes of a cluster, which have the same Rowcast installed and reach the same storage.

    ``address`` is what ``ray.init`` takes: ``auto`` on a node of the cluster, ``ray://host:port`` anywhere else.
    ``command`` is what follows the name of the interpreter to start a process that calls
    ``entrypoints.job.process.serve``, ``entry`` the ``module:name`` of what does a share of a job within a process of
    Ray's: see ``ray_train``; the rest is as for ``LocalCompute``. A job asks for as many processors as it has
    threads, and for ``memory_bytes`` of memory where that is set. One whose node is lost is started on another. Ray
    itself is only imported by a process beside this one (``ray_bridge``), for it ends the process that it has lost the
    cluster for.
    """

    def __init__(
        self,
        address: str,
        storage_url: str,
        *,
        command: Sequence[str],
        entry: str,
        threads: int,
        storage_options: Mapping[str, str] | None = None,
        memory_bytes: int = 0,
        niceness: int = 0,
    ) -> None:
        self._address = address
        self._entry = entry
        self._threads = threads
        self._command = list(command)
        self._memory_bytes = memory_bytes
        self._compute = {
            "storage_url": storage_url,
            "storage_options": dict(storage_options or {}),
            "memory_bytes": memory_bytes,
            "niceness": niceness,
        }
        self._lock = threading.Lock()
        self._bridge: _Bridge | None = None

    @property
    def slots(self) -> int:
        return max(1, self._processors())

    def run(
        self,
        job: str,
        arguments: dict[str, Any],
        *,
        report: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        timeout: float,
    ) -> dict[str, Any]:
        threads = int(arguments.get("threads", self._threads))
        needs = {"processors": threads, "memory_bytes": self._memory_bytes}
        compute = {**self._compute, "threads": threads}
        return self._run(job, arguments, compute, needs, report, cancelled, timeout)

    def spread(
        self,
        library: str,
        job: str,
        arguments: dict[str, Any],
        *,
        workers: int,
        report: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        timeout: float,
    ) -> dict[str, Any]:
        shared = {
            "entry": self._entry,
            "library": library,
            "workers": workers,
            "needs": {"CPU": self._threads} | ({"memory": self._memory_bytes} if self._memory_bytes else {}),
            "share": {"job": job, "arguments": arguments, **self._compute},
        }
        # Who sees to it takes nothing of a node: the processes do.
        needs, compute = {"processors": 0, "memory_bytes": 0}, {**self._compute, "threads": 1, "memory_bytes": 0}
        return self._run("spread", shared, compute, needs, report, cancelled, timeout)

    def _run(
        self,
        job: str,
        arguments: dict[str, Any],
        compute: dict[str, Any],
        needs: dict[str, int],
        report: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        timeout: float,
    ) -> dict[str, Any]:
        request = {
            "version": __version__,
            "command": self._command,
            "compute": compute,
            "job": job,
            "arguments": arguments,
            "timeout": timeout,
        }
        with self._asked({"run": {"request": request, **needs}}) as words:
            return _listen(words, report, cancelled)

    def ping(self) -> None:
        self._processors()

    def close(self) -> None:
        """End the jobs and let the cluster go."""
        with self._lock:
            if self._bridge is not None:
                self._bridge.close()
                self._bridge = None

    def _processors(self) -> int:
        try:
            with self._asked({"ask": "processors"}) as words:
                answer = words.get(timeout=_CONNECT_SECONDS)
        except Empty:
            answer = None
        if answer is None:
            raise Unavailable(COMPUTE_AWAY, _AWAY)
        return int(answer["result"]["processors"])

    @contextmanager
    def _asked(self, question: dict[str, Any]) -> Iterator[Words]:
        with self._lock:
            if self._bridge is None or not self._bridge.alive:
                self._bridge = _Bridge(self._address)
            bridge = self._bridge
        with bridge.asked(question) as words:
            yield words


def _listen(words: Words, report: Callable[[Progress], None], cancelled: Callable[[], bool]) -> dict[str, Any]:
    while True:
        try:
            said = words.get(timeout=_LOOK_SECONDS)
        except Empty:
            said = {}
        match said:
            case {"result": dict(result)}:
                return result
            case {"error": dict(error)}:
                raise RowcastError.from_dict(error)
            case {"progress": dict(progress)}:
                report(Progress.model_validate(progress))
            case {"log": str(line)}:
                _log.error("on a node of the cluster: %s", line)
            case None:
                raise Unavailable("job_killed", "The connection to the Ray cluster was lost while the job ran.")
        if cancelled():
            raise Cancelled("task_cancelled", "The task was cancelled.")


def _knock(address: str) -> None:
    """Find out at once when nobody is at an address: Ray itself tries for a minute."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()
    except OSError as error:
        raise Unavailable(COMPUTE_AWAY, _AWAY) from error


class _Bridge:
    """The process that speaks to the cluster, and who waits for what it says."""

    def __init__(self, address: str) -> None:
        """Raises ``Unavailable("compute_unavailable")`` when the cluster does not answer."""
        _knock(address)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")}
        self._process = Popen(  # noqa: S603  (our own module; the address is the operator's)
            (sys.executable, "-m", "rowcast.adapters.compute.ray_bridge", address),
            stdin=PIPE,
            stdout=PIPE,
            env=inherited | _QUIET,
            text=True,
        )
        self._ids = itertools.count(1)
        self._waiting: dict[str, Words] = {}
        self._lock = threading.Lock()
        self._connected: Words = SimpleQueue()
        self._reader = threading.Thread(target=self._read, name="ray-bridge", daemon=True)
        self._reader.start()
        self._connect()

    @property
    def alive(self) -> bool:
        return self._reader.is_alive()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        finally:
            self._process.kill()
            self._reader.join()

    @contextmanager
    def asked(self, question: dict[str, Any]) -> Iterator[Words]:
        """What is said to a question; a job that still runs at the end is stopped, and has stopped afterwards."""
        name = str(next(self._ids))
        words: Words = SimpleQueue()
        with self._lock:
            self._waiting[name] = words
        try:
            self._tell({"id": name, **question})
            yield words
        finally:
            self._end(name, words)

    def _connect(self) -> None:
        try:
            said = self._connected.get(timeout=_CONNECT_SECONDS)
        except Empty:
            said = None
        if said is None or "error" in said:
            self._process.kill()
            self.close()
            raise Unavailable(COMPUTE_AWAY, _AWAY)

    def _end(self, name: str, words: Words) -> None:
        try:
            if self.alive:
                self._tell({"id": name, "stop": True})
                while words.get(timeout=_STOP_SECONDS) is not None:
                    pass
        except (Empty, Unavailable):
            _log.warning("a job on the Ray cluster was told to stop and has not said that it did")
        finally:
            with self._lock:
                del self._waiting[name]

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            with self._lock:
                self._process.stdin.write(json.dumps(message) + "\n")
                self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise Unavailable(COMPUTE_AWAY, _AWAY) from error

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                match json.loads(line):
                    case {"id": name, "said": said} if name in self._waiting:
                        self._waiting[name].put(said)
                    case {"id": name, "over": True} if name in self._waiting:
                        self._waiting[name].put(None)
                    case {"id": _}:
                        pass
                    case said:
                        self._connected.put(said)
        self._connected.put(None)
        self._process.wait()
        with self._lock:
            for words in self._waiting.values():
                words.put(None)
