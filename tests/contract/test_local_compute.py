"""What child processes promise besides."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from rowcast.adapters.compute.local import LocalCompute
from rowcast.errors import Unavailable

COMMAND = (sys.executable, str(Path(__file__).with_name("job_process.py")))


def run(compute, job, **arguments):
    return compute.run(job, arguments, report=lambda progress: None, cancelled=lambda: False, timeout=60)


def test_a_child_gets_threads_but_no_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("ROWCAST_API_KEY", "rc_secret")
    options = {"access_key": "ours", "secret_key": "s3-secret"}
    compute = LocalCompute("s3://bucket/prefix", storage_options=options, threads=3, command=COMMAND)

    environment = run(compute, "environment")

    assert "s3-secret" not in environment.values()
    assert environment["OMP_NUM_THREADS"] == environment["POLARS_MAX_THREADS"] == "3"
    assert not [name for name in environment if name.startswith("ROWCAST_")]
    assert environment["PATH"]


def test_a_child_makes_way_and_leads_its_own_group(tmp_path):
    compute = LocalCompute(tmp_path.as_uri(), threads=1, niceness=7, command=COMMAND)

    standing = run(compute, "standing")

    assert standing["niceness"] >= 7
    assert standing["group"] == standing["pid"]


def test_memory_has_a_limit_when_set(tmp_path):
    compute = LocalCompute(tmp_path.as_uri(), threads=1, memory_bytes=1 << 30, command=COMMAND)

    assert run(compute, "echo", a=1) == {"a": 1}
    with pytest.raises(Unavailable) as caught:
        run(compute, "hog")
    assert caught.value.code == "job_out_of_memory"


def test_a_command_that_is_not_there_is_unavailable(tmp_path):
    compute = LocalCompute(tmp_path.as_uri(), threads=1, command=(str(tmp_path / "nothing"),))

    with pytest.raises(Unavailable) as caught:
        run(compute, "echo")
    assert caught.value.code == "job_not_started"


def test_a_child_dies_with_its_parent(tmp_path):
    pid_file = tmp_path / "pids"
    code = f"""
from rowcast.adapters.compute.local import LocalCompute
compute = LocalCompute({tmp_path.as_uri()!r}, threads=1, command={COMMAND!r})
compute.run("sleep", {{"pid_file": {str(pid_file)!r}, "family": True}},
            report=print, cancelled=lambda: False, timeout=600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL) as parent:
        _wait_for(pid_file.exists)
        child = pid_file.read_text().split()[0]
        parent.kill()
    _wait_for(lambda: not _alive(child))


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def _wait_for(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
