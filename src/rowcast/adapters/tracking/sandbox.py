"""Pickles, where the operator and an administrator allow them: opened once, in a process that can reach nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

from rowcast.adapters.tracking.unpickle_script import SHUT_OUT
from rowcast.errors import Conflict, InvalidInput

_SCRIPT = Path(__file__).with_name("unpickle_script.py")
_SECONDS = 180
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def without_pickle(pickled: Path) -> Path:
    """What is in the pickle as a skops file beside it, which is as little to be trusted as the pickle was.

    Raises:
        Conflict: this machine lets no process be shut in, and nothing was opened.
        InvalidInput: it is no pickle of what is installed here or can be kept as skops, or it asks for too much.
    """
    with pickled.open("rb") as given, NamedTemporaryFile(dir=pickled.parent, suffix=".skops", delete=False) as taken:
        code = _opened(given.fileno(), taken.fileno())
    if code == SHUT_OUT:
        message = (
            "No pickle is opened on this machine: its kernel does not shut a process in (Linux on x86-64 or ARM64 with "
            "seccomp does). Log the model as skops or ONNX."
        )
        raise Conflict("sandbox_unavailable", message)
    if code:
        message = (
            "Its pickle needs other libraries or versions than are here, more than 4 GiB of memory, or minutes. Log "
            "the model as skops or ONNX."
        )
        raise InvalidInput("model_unreadable", message)
    return Path(taken.name)


def _opened(given: int, taken: int) -> int:
    """The exit code of the script. It stays in the process group of the job, and goes with it."""
    command = [sys.executable, "-I", "-B", str(_SCRIPT)]
    try:
        done = subprocess.run(  # noqa: S603  (our own script)
            command,
            stdin=given,
            stdout=taken,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1
    return done.returncode
