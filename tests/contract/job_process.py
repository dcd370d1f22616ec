"""A job process as the product's own, with jobs that a test can watch, stop and kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from rowcast.datasets.ports import Progress
from rowcast.entrypoints.job.process import serve
from rowcast.errors import InvalidInput, Problem
from rowcast.wiring import open_storage


def echo(storage, report, **arguments):
    return arguments


def count(storage, report, *, steps):
    for step in range(steps):
        report(Progress(fraction=step / steps, message=f"step {step}", stage=f"step {step}"))
    return {"steps": steps}


def store(storage, report, *, key, text):
    storage.put(key, text.encode())
    return {"size": storage.size(key)}


def refuse(storage, report):
    problems = [Problem(code="cell_bad", message="Not a number.", row=7, field="age")]
    raise InvalidInput("table_bad", "The table cannot be read.", problems, lines=3)


def fault(storage, report):
    raise KeyError("a secret value of the table")


def sleep(storage, report, *, pid_file=None, family=False):
    """Sleeps until it is stopped; with ``family`` it starts a process of its own, which sleeps as well."""
    pids = [os.getpid()]
    if family:
        pids.append(subprocess.Popen(["sleep", "600"]).pid)
    if pid_file:
        Path(f"{pid_file}.new").write_text(" ".join(map(str, pids)))
        Path(f"{pid_file}.new").rename(pid_file)
    report(Progress(fraction=0.5, message="sleeping"))
    time.sleep(600)
    return {}


def die(storage, report, *, number=signal.SIGKILL):
    print("last words", file=sys.stderr)
    os.kill(os.getpid(), number)
    time.sleep(60)


def leave(storage, report):
    os._exit(3)


def hog(storage, report):
    return {"size": len(bytearray(1 << 40))}


def chatter(storage, report, *, size):
    os.write(1, b"a library that prints\n" * 100)
    print("x" * size)
    sys.stderr.write("e" * size)
    return {"text": "y" * size}


def environment(storage, report):
    return dict(os.environ)


def standing(storage, report):
    return {
        "niceness": os.nice(0),
        "group": os.getpgid(0),
        "pid": os.getpid(),
        "parent": os.getppid(),
        "threads": threading.active_count(),
    }


def no_number(storage, report):
    return {"value": float("nan")}


JOBS = {
    function.__name__: f"job_process:{function.__name__}"
    for function in (
        echo, count, store, refuse, fault, sleep, die, leave, hog, chatter, environment, standing, no_number,
    )
}  # fmt: skip

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    serve(JOBS, open_storage)
