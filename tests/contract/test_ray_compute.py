"""What a Ray cluster promises besides."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from rowcast.adapters.compute.ray import RayCompute
from rowcast.errors import Cancelled, Unavailable
from rowcast.settings import Settings
from rowcast.wiring import open_compute

COMMAND = (str(Path(__file__).with_name("job_process.py")),)


def run(compute, job, *, report=lambda progress: None, **arguments):
    return compute.run(job, arguments, report=report, cancelled=lambda: False, timeout=120)


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_all_processors_of_the_cluster_count(ray_compute):
    assert ray_compute.slots == 2


def test_ray_is_not_imported_here(ray_compute):
    ray_compute.ping()

    assert "ray" not in sys.modules


def test_a_node_gets_no_settings_and_its_child_leads_its_own_group(ray_compute, monkeypatch):
    assert not [name for name in run(ray_compute, "environment") if name.startswith("ROWCAST_")]
    standing = run(ray_compute, "standing")
    assert standing["group"] == standing["pid"]


def test_who_asks_for_more_than_is_free_is_told_that_it_waits(ray_compute, tmp_path):
    told = []
    with sleeping(ray_compute, tmp_path / "one"), sleeping(ray_compute, tmp_path / "two"):
        third = threading.Thread(target=run, args=(ray_compute, "echo"), kwargs={"report": told.append})
        third.start()
        wait_for(lambda: told)
    third.join(60)

    assert not third.is_alive()
    assert "waiting" in told[0].message


def test_a_job_whose_node_is_killed_goes_on_elsewhere(ray_compute, ray_nodes, tmp_path):
    files = (tmp_path / "first", tmp_path / "second")
    with sleeping(ray_compute, files[0]), sleeping(ray_compute, files[1]):  # one on each node
        before = {file: file.read_text() for file in files}
        ray_nodes.kill()
        ray_nodes.add()
        wait_for(lambda: any(file.read_text() != pids for file, pids in before.items()))


def test_who_has_had_a_job_has_the_next_and_does_not_keep_its_room(ray_compute):
    parent, *others = [run(ray_compute, "standing")["parent"] for _ in range(3)]

    assert others == [parent, parent]
    wait_for(lambda: not Path(f"/proc/{parent}").exists())


def test_idle_ones_that_were_lost_with_their_node_are_not_missed(ray_compute, ray_nodes, tmp_path):
    with sleeping(ray_compute, tmp_path / "first"), sleeping(ray_compute, tmp_path / "second"):  # one on each node
        pass
    ray_nodes.kill()
    ray_nodes.add()

    assert [run(ray_compute, "echo", number=number)["number"] for number in range(3)] == [0, 1, 2]


@contextmanager
def sleeping(compute, pid_file):
    """A job that sleeps for as long as the block lasts."""
    over = threading.Event()

    def sleep():
        with pytest.raises(Cancelled):
            compute.run(
                "sleep", {"pid_file": str(pid_file)}, report=lambda progress: None, cancelled=over.is_set, timeout=300
            )

    thread = threading.Thread(target=sleep)
    thread.start()
    try:
        wait_for(pid_file.exists)
        yield
    finally:
        over.set()
        thread.join(60)


def test_a_cluster_that_is_not_there_is_said_to_be_away(tmp_path):
    compute = RayCompute("127.0.0.1:9", tmp_path.as_uri(), threads=1, command=COMMAND, entry="")

    with pytest.raises(Unavailable) as caught:
        compute.ping()
    assert caught.value.code == "compute_unavailable"


def test_settings_name_the_cluster(tmp_path, ray_nodes, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", ray_nodes.address)
    settings = Settings(data_dir=tmp_path, compute_url="ray://auto", threads=1)

    compute = open_compute(settings, tmp_path)
    compute.ping()
    compute.close()
