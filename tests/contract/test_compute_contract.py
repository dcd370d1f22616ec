"""What every compute promises. The jobs are those of ``job_process.py``."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from rowcast.errors import Cancelled, Internal, InvalidInput, TimedOut, Unavailable

LONG = 60.0


def run(compute, job, *, report=lambda progress: None, cancelled=lambda: False, timeout=LONG, **arguments):
    return compute.run(job, arguments, report=report, cancelled=cancelled, timeout=timeout)


def wait_for(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def alive(pid):
    """Whether a process runs; one that has ended and waits to be reaped by others does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_result_comes_back(compute):
    arguments = {"text": "Å\n\0", "number": 1.5, "nothing": None, "list": [1, {"a": True}], "long": "x" * 1_000_000}

    assert run(compute, "echo", **arguments) == arguments


def test_a_job_uses_the_storage(compute, tmp_path):
    assert run(compute, "store", key="bundles/one", text="hello") == {"size": 5}
    folder = getattr(compute, "storage", tmp_path / "storage")
    assert (folder / "bundles" / "one").read_text() == "hello"


def test_progress_comes_in_order(compute):
    told = []

    assert run(compute, "count", report=told.append, steps=5) == {"steps": 5}
    assert [progress.message for progress in told] == [f"step {step}" for step in range(5)]


def test_an_error_comes_back_as_it_was_raised(compute):
    with pytest.raises(InvalidInput) as caught:
        run(compute, "refuse")

    assert caught.value.code == "table_bad"
    assert caught.value.details == {"lines": 3}
    assert [(problem.row, problem.field) for problem in caught.value.problems] == [(7, "age")]


@pytest.mark.parametrize("job", ["fault", "no_number", "of no such name"])
def test_a_fault_tells_nothing_of_the_data(compute, job, caplog):
    with pytest.raises(Internal) as caught:
        run(compute, job)

    assert "secret" not in str(caught.value.to_dict())
    assert caught.value.code in caplog.text
    assert ("Traceback" in caplog.text) is (job in ("fault", "no_number"))


def test_printing_does_not_disturb(compute):
    assert run(compute, "chatter", size=3_000_000) == {"text": "y" * 3_000_000}


@pytest.mark.parametrize("family", [False, True])
def test_cancelling_stops_all_of_it(compute, tmp_path, family):
    pid_file = tmp_path / "pids"

    with pytest.raises(Cancelled):
        run(compute, "sleep", cancelled=pid_file.exists, pid_file=str(pid_file), family=family)

    pids = pid_file.read_text().split()
    assert len(pids) == 1 + family
    wait_for(lambda: not any(alive(pid) for pid in pids))


def test_a_job_may_not_take_too_long(compute, tmp_path):
    pid_file = tmp_path / "pids"
    for timeout in (1.5, 6.0, 24.0):  # to start is part of the time, and takes longer on a busy machine
        with pytest.raises(TimedOut) as caught:
            run(compute, "sleep", timeout=timeout, pid_file=str(pid_file))
        assert caught.value.code == "job_timed_out"
        if pid_file.exists():
            break

    assert not any(alive(pid) for pid in pid_file.read_text().split())


def test_a_killed_job_may_be_tried_again(compute):
    with pytest.raises(Unavailable) as caught:
        run(compute, "die")

    assert caught.value.code == "job_killed"
    assert "memory" in caught.value.message
    assert caught.value.retryable


@pytest.mark.parametrize(("job", "arguments", "reason"), [("die", {"number": 11}, "SIGSEGV"), ("leave", {}, "code 3")])
def test_a_job_that_dies_says_how(compute, job, arguments, reason):
    with pytest.raises(Unavailable) as caught:
        run(compute, job, **arguments)

    assert caught.value.code == "job_killed"
    assert reason in caught.value.message


def test_too_little_memory_is_said_so(compute):
    with pytest.raises(Unavailable) as caught:
        run(compute, "hog")

    assert caught.value.code == "job_out_of_memory"


def test_a_fault_of_the_caller_stops_the_job(compute, tmp_path):
    pid_file = tmp_path / "pids"

    def report(progress):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(compute, "sleep", report=report, pid_file=str(pid_file))
    assert not any(alive(pid) for pid in pid_file.read_text().split())


def test_nothing_is_left_open(compute):
    run(compute, "echo")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        run(compute, "echo")
        with pytest.raises(Unavailable):
            run(compute, "die", number=signal.SIGTERM)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
