"""A search on a Ray cluster of one node and of two, each with one processor: how much sooner its trials are done."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import cores
from benchmarks.servers import rowcast
from rowcast.client import Client

LOANS = Path(__file__).parent.parent / "src" / "rowcast" / "examples" / "sba_loans.csv"
TRIALS, ROUNDS, COPIES = 24, 2, 2
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_log_monitor": False}


def run() -> tuple[list[str], str]:
    """The seconds of the trials on either, and how many times as long one node takes."""
    with tempfile.TemporaryDirectory() as name, _cluster(Path(name)) as cluster:
        table = Path(name) / "loans.csv"
        header, rows = LOANS.read_text().split("\n", 1)
        table.write_text(f"{header}\n{rows * COPIES}")
        settings = {"ROWCAST_COMPUTE_URL": "ray://auto", "ROWCAST_THREADS": "1", "RAY_ADDRESS": cluster.address}
        with rowcast(Path(name) / "data", ",".join(map(str, cores())), settings=settings) as server:
            server.client.datasets.add(table, name="loans")
            _search(server.client, 2)  # the first finds nobody at work yet
            two, one = [], []
            for _ in range(ROUNDS):
                second = cluster.add_node(**NODE)
                two.append(_search(server.client))
                cluster.remove_node(second)
                one.append(_search(server.client))
    lines = [
        f"{TRIALS} trials of CatBoost on {5000 * COPIES:,} rows, two nodes and one in turn, {ROUNDS} times, seconds:",
        "",
        f"- two nodes: {', '.join(f'{each:.1f}' for each in two)}",
        f"- one node: {', '.join(f'{each:.1f}' for each in one)}",
    ]
    return lines, f"nodes one/two={median(one) / median(two):.2f}"


def _search(client: Client, trials: int = TRIALS) -> float:
    """Seconds until the last trial of a search is on record; what is made of them is not waited for."""
    started = time.monotonic()
    task = client.tune(dataset="loans", target="MIS_Status", algorithms=["catboost"], select=False, trials=trials)
    while len(client.tasks.trials(task)) < trials:
        time.sleep(0.1)
    spent = time.monotonic() - started
    client.tasks.cancel(task)
    client.wait(task, check=False)
    return spent


@contextmanager
def _cluster(folder: Path) -> Iterator[Any]:
    """Ray's own cluster for tests, on the loopback, with a head of one processor."""
    os.environ.update(LOOPBACK, RAY_TMPDIR=str(folder))
    from ray.cluster_utils import Cluster

    head = {"include_dashboard": False, **NODE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield cluster
    finally:
        cluster.shutdown()
