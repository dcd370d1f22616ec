"""Open a pickle where it can do no harm: the pickle on standard input, what is in it as skops on standard output.

Run as a process of its own, with nothing in its environment. It imports what estimators are made of, reads the pickle,
and then has the kernel refuse it every system call but those that memory takes, those that end it, and writing to
standard output: no file can be opened, no socket or process made, no other process reached, and no limit raised. Only
then is the pickle opened. Where the kernel does not do that, it exits with ``SHUT_OUT`` and has opened nothing.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import platform
import resource
import signal
import struct
import sys
from importlib import import_module
from pathlib import Path

SHUT_OUT = 3

_LIMITS = {"AS": 4 << 30, "CPU": 120, "FSIZE": 512 << 20, "CORE": 0}
"""Bytes of memory, seconds of processor, bytes of what is written."""

_LIBRARIES = (
    "sklearn.compose", "sklearn.ensemble", "sklearn.impute", "sklearn.linear_model", "sklearn.pipeline",
    "sklearn.preprocessing", "sklearn.svm", "sklearn.tree", "lightgbm", "xgboost", "cloudpickle", "skops.io",
)  # fmt: skip
"""Nothing can be imported any more when the pickle is opened: what it needs else is not converted anyway."""

_CALLS = {
    "x86_64": {
        "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigprocmask": 14, "rt_sigreturn": 15, "mremap": 25,
        "madvise": 28, "exit": 60, "futex": 202, "clock_gettime": 228, "exit_group": 231, "getrandom": 318,
    },
    "aarch64": {
        "exit": 93, "exit_group": 94, "futex": 98, "clock_gettime": 113, "rt_sigprocmask": 135, "rt_sigreturn": 139,
        "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233, "getrandom": 278,
    },
}  # fmt: skip
_WRITE = {"x86_64": 1, "aarch64": 64}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SET_PDEATHSIG, _SET_NO_NEW_PRIVS, _MODE_FILTER, _ALL_THREADS = 1, 38, 1, 1
_LOAD, _IF_EQUAL, _ANSWER = 0x20, 0x15, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | 1
"""To refuse is to answer EPERM, so that an import that fails is only that."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    _LIBC.prctl(_SET_PDEATHSIG, signal.SIGKILL)
    for name, most in _LIMITS.items():
        limit = getattr(resource, f"RLIMIT_{name}")
        least = min(most, resource.getrlimit(limit)[1] % 2**64)  # no limit at all is -1
        resource.setrlimit(limit, (least, least))
    for library in _LIBRARIES:
        import_module(library)
    pickled = sys.stdin.buffer.read()
    os.closerange(2, 1024)
    if not _shut_in():
        return SHUT_OUT
    os._exit(_convert(pickled))  # without running what it may have left to be run at the end


def _shut_in() -> bool:
    """Whether from now on the kernel refuses this process all else, in all of its threads."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _CALLS or sys.maxsize < 2**32:
        return False
    steps = _filter(machine)
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    described = struct.pack("@HP", len(steps), ctypes.addressof(program))
    if _LIBC.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    if _LIBC.syscall(_SECCOMP[machine], _MODE_FILTER, _ALL_THREADS, described):
        return False
    try:
        Path("/").stat()  # it is believed when it is seen
    except PermissionError:
        return True
    return False


def _filter(machine: str) -> list[tuple[int, int, int, int]]:
    """For the kernel, on each call of ``seccomp_data``: its number at 0, the architecture at 4, what it is given at 16,
    eight bytes each."""
    steps = [(_LOAD, 0, 0, 4), (_IF_EQUAL, 1, 0, _ARCHITECTURE[machine]), (_ANSWER, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    for number in _CALLS[machine].values():
        steps += [(_IF_EQUAL, 0, 1, number), (_ANSWER, 0, 0, _ALLOW)]
    steps += [(_IF_EQUAL, 0, 3, _WRITE[machine]), (_LOAD, 0, 0, 16), (_IF_EQUAL, 0, 1, 1), (_ANSWER, 0, 0, _ALLOW)]
    return [*steps, (_ANSWER, 0, 0, _REFUSE)]


def _convert(pickled: bytes) -> int:
    try:
        kept: bytes = import_module("skops.io").dumps(pickle.loads(pickled))  # noqa: S301
        while kept:
            kept = kept[os.write(1, kept) :]
    except BaseException:  # noqa: BLE001  (it may raise whatever it likes)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
