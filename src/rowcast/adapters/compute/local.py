"""The compute of this machine: each job in a child process of its own."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any

from rowcast.adapters.compute.child import Child, Ending
from rowcast.datasets.ports import Progress
from rowcast.errors import Cancelled, InvalidInput, RowcastError, TimedOut, Unavailable

_PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""OpenMP's threads spin while they wait, which on busy cores makes a training ten times slower."""

_LOOK_SECONDS = 0.1
_THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)

_log = logging.getLogger(__name__)


class LocalCompute:
    """Child processes that work at low priority, so that serving stays quick, and die with this process.

    ``command`` starts a process that calls ``entrypoints.job.process.serve``. ``threads`` limits the native libraries
    of each job, ``memory_bytes`` its address space (0: no limit). A job gets the address of the storage, how it is
    reached and its arguments, by a pipe that nobody else reads, and nothing of the settings or keys in this process's
    environment. Its temporary files go to a folder of
    its own under ``scratch``, which is removed when it ends, however it ends.
    """

    def __init__(
        self,
        storage_url: str,
        *,
        command: Sequence[str],
        threads: int,
        storage_options: Mapping[str, str] | None = None,
        scratch: Path | None = None,
        memory_bytes: int = 0,
        niceness: int = 10,
    ) -> None:
        self._storage_url = storage_url
        self._storage_options = dict(storage_options or {})
        self._threads = threads
        self._scratch = scratch
        self._memory_bytes = memory_bytes
        self._niceness = niceness
        self._command = tuple(command)

    @property
    def slots(self) -> int:
        return self._threads

    def run(
        self,
        job: str,
        arguments: dict[str, Any],
        *,
        report: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        timeout: float,
    ) -> dict[str, Any]:
        with self._temporary_folder() as folder, Child(self._start(folder), self._request(job, arguments)) as child:
            answer = _listen(child, report, cancelled, timeout)
            if answer is not None and isinstance(result := answer.get("result"), dict):
                return result  # without waiting until its memory is tidied up
            ending = child.end()
        match answer:
            case {"error": dict(error)}:
                failure = RowcastError.from_dict(error)
            case _:
                failure = self._killed(ending)
        if not isinstance(failure, InvalidInput):
            _log.error("job %s: %s, %s; the end of its output:\n%s", job, failure.code, ending.reason, ending.output)
        raise failure

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
        """One machine has nobody to share with: a single child process has all of it."""
        whole = {**arguments, "share": 0, "shares": 1, "network": {}}
        return self.run(job, whole, report=report, cancelled=cancelled, timeout=timeout)

    def ping(self) -> None:
        """A child process can always be tried."""

    def _temporary_folder(self) -> TemporaryDirectory[str]:
        try:
            return TemporaryDirectory(prefix="job-", dir=self._scratch, ignore_cleanup_errors=True)
        except OSError as error:
            raise Unavailable("storage_full", "There is no space for the job's temporary files.") from error

    def _start(self, folder: str) -> Popen[bytes]:
        """The child, in a process group of its own, so that whatever it starts can be stopped with it."""
        try:
            return Popen(  # noqa: S603  (our own module, with no argument from outside)
                self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=self._environment(folder),
                process_group=0,
                bufsize=0,
            )
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise Unavailable("job_not_started", f"The job's process could not be started: {reason}.") from error

    def _request(self, job: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {
            "job": job,
            "arguments": arguments,
            "storage_url": self._storage_url,
            "storage_options": self._storage_options,
            "memory_bytes": self._memory_bytes,
            "niceness": self._niceness,
        }

    def _environment(self, folder: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ROWCAST_")}
        # Nor is a file that happens to lie in the working folder to be imported in place of a library.
        return inherited | surroundings(self._threads) | {"PYTHONSAFEPATH": "1", "TMPDIR": folder}

    def _killed(self, ending: Ending) -> Unavailable:
        if not ending.looks_like_memory and not self._memory_bytes:
            return Unavailable("job_killed", f"The job's process died ({ending.reason}). The server's log says more.")
        message = (
            f"The job's process died ({ending.reason}), most likely because memory ran out. Use a smaller table or "
            "preset, or give the machine, the container or ROWCAST_JOB_MEMORY_BYTES more memory."
        )
        return Unavailable("job_killed", message)


def _listen(
    child: Child, report: Callable[[Progress], None], cancelled: Callable[[], bool], timeout: float
) -> dict[str, Any] | None:
    """The child's last word, a result or an error, with its progress passed on until then; None when it died first.

    Raises:
        Cancelled: ``cancelled`` said so.
        TimedOut: it took longer than ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not child.over:
        for message in child.messages(_LOOK_SECONDS):
            if "progress" not in message:
                return message
            report(Progress.model_validate(message["progress"]))
        if cancelled():
            raise Cancelled("task_cancelled", "The task was cancelled.")
        if time.monotonic() > deadline:
            raise _timed_out(timeout)
    return None


def surroundings(threads: int) -> dict[str, str]:
    """The environment by which native libraries keep to so many threads."""
    return dict.fromkeys(_THREAD_LIMITS, str(threads)) | _PATIENT


def _timed_out(seconds: float) -> TimedOut:
    message = (
        f"This was stopped after {seconds:g} seconds, the most it may take. Use a smaller table or preset, or ask the "
        "operator to raise the limit."
    )
    return TimedOut("job_timed_out", message)
