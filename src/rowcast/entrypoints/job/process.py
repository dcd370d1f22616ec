"""One job in a process of its own: a request on standard input, JSON lines on standard output.

The request is one line ``{"job", "storage_url", "storage_options", "arguments", "memory_bytes", "niceness"}``; the
answers are any number of ``{"progress": ...}`` and then one ``{"result": ...}`` or ``{"error": ...}``. When standard
input ends, whoever started this process is gone, and it ends at once.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Protocol

from rowcast.datasets.ports import Progress, Report, Storage
from rowcast.errors import Internal, RowcastError, Unavailable

_REPORT_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1
_OUT_OF_MEMORY = (
    "There is not enough memory for this. Use a smaller table or preset, or give the machine, the container or "
    "ROWCAST_JOB_MEMORY_BYTES more memory."
)
_OUR_FAULT = "This failed by a fault in Rowcast. Ask the operator to look at the server's log."


class OpenStorage(Protocol):
    """Opens the storage at an address, reached by these options."""

    def __call__(self, url: str, options: Mapping[str, str], /) -> Storage: ...


def serve(jobs: Mapping[str, str], open_storage: OpenStorage) -> None:
    """Read the request, run the job that it names and answer. ``jobs`` gives each job's function as ``module:name``."""
    answers = _claim_standard_output()
    request = json.loads(sys.stdin.buffer.readline() or b"{}")
    if not request:
        return
    _die_with_parent()
    _make_way(request["niceness"], request["memory_bytes"])
    say = _Speaker(answers)
    try:
        say.message({"result": _perform(jobs, open_storage, request, say.progress)})
    except BaseException as error:  # noqa: BLE001  (whatever it is, whoever waits gets an answer)
        say.message({"error": _told(error).to_dict()})


def share(
    jobs: Mapping[str, str], open_storage: OpenStorage, request: dict[str, Any], report: Report
) -> dict[str, Any]:
    """The result of a request of ``serve``, within a process that somebody else has started for a share of the job.

    Raises:
        ConnectionError: another share was lost.
        RowcastError: anything else.
    """
    try:
        return _perform(jobs, open_storage, request, report)
    except ConnectionError:
        raise
    except Exception as error:
        raise _told(error) from error


def _perform(
    jobs: Mapping[str, str], open_storage: OpenStorage, request: dict[str, Any], report: Report
) -> dict[str, Any]:
    job = _find(jobs, request["job"])
    storage = open_storage(request["storage_url"], request["storage_options"])
    return job(storage, report, **request["arguments"])


class _Speaker:
    """Writes answers, from whichever thread of the job. Progress is thinned out to what anyone would see, but for
    finished trials, which are kept one by one."""

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self._next = 0.0
        self._stage: tuple[str, str | None] | None = None

    def progress(self, progress: Progress) -> None:
        stage, moment = (progress.stage, progress.algorithm), time.monotonic()
        if stage == self._stage and moment < self._next and progress.trial is None:
            return
        self._stage, self._next = stage, moment + _REPORT_SECONDS
        self.message({"progress": progress.model_dump(mode="json", exclude_none=True)})

    def message(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, allow_nan=False)
        with self._lock:
            self._answers.write(line + "\n")
            self._answers.flush()


def _claim_standard_output() -> IO[str]:
    """Standard output for answers alone: what libraries print there goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _find(jobs: Mapping[str, str], name: str) -> Callable[..., dict[str, Any]]:
    if name not in jobs:
        raise Internal("job_unknown", "This version of Rowcast does not know the job it was asked for.")
    module, function = jobs[name].split(":")
    found: Callable[..., dict[str, Any]] = getattr(import_module(module), function)
    return found


def _die_with_parent() -> None:
    """End as soon as the parent does, however it ends: no orphan goes on taking the machine's time."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch_parent, name="watch-parent", daemon=True).start()


def _watch_parent() -> None:
    while os.read(0, 4096):
        pass
    if os.getpgid(0) == os.getpid():  # its own group, so all that it started goes too
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _make_way(niceness: int, memory_bytes: int) -> None:
    """Serving goes first: for the processor, and when memory runs out this process is the one to go."""
    os.nice(niceness)
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with suppress(OSError):  # only Linux has it
        Path("/proc/self/oom_score_adj").write_text("500")


def _told(error: BaseException) -> RowcastError:
    """The error as one of ours; what it was goes to the operator's log only, for a traceback may hold data."""
    ours = _as_ours(error)
    if ours is not error:
        traceback.print_exception(error)
    return ours


def _as_ours(error: BaseException) -> RowcastError:
    if isinstance(error, RowcastError):
        return error
    # Native libraries report it as an error of their own class, by the name that C++ gives it.
    if isinstance(error, MemoryError) or "bad_alloc" in str(error):
        return Unavailable("job_out_of_memory", _OUT_OF_MEMORY)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Unavailable("storage_full", "The disk is full. Free some space, then try again.")
    return Internal("internal_error", _OUR_FAULT)
