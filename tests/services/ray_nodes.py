"""A Ray cluster of two nodes, each a set of processes of this machine that listen on the loopback only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

_LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's own switch for machines whose nodes keep to the loopback
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
}
_CLUSTER = """
import sys
from ray.cluster_utils import Cluster
small = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_log_monitor": False}
cluster = Cluster(initialize_head=True, head_node_args={"include_dashboard": False, **small})
nodes = [cluster.add_node(**small)]
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "add":
        nodes.append(cluster.add_node(**small))
    else:
        cluster.remove_node(nodes.pop(), allow_graceful=False)
    print("done", flush=True)
cluster.shutdown()
"""


class PrivateRay:
    """Ray's own cluster for tests, in a process beside this one: a head with one processor and another such node."""

    address: str
    """For those on one of the nodes."""

    def start(self) -> PrivateRay:
        # Not below pytest's folders: the names of sockets may not be long.
        self._folder = Path(tempfile.mkdtemp(prefix="ray-"))
        with (self._folder / "cluster.log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CLUSTER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | _LOOPBACK | {"RAY_TMPDIR": str(self._folder)},
                text=True,
            )
        os.environ.update(_LOOPBACK)  # for this process's children, who connect to it
        self.address = self._answer()
        return self

    def add(self) -> None:
        """Another node with one processor."""
        self._tell("add")

    def kill(self) -> None:
        """Kill the processes of the node that came last, all at once."""
        self._tell("kill")

    def processes(self, name: str) -> list[int]:
        """Of those whom the nodes have started, the ones with that in their name."""
        nodes = _children(self._process.pid)
        return [pid for node in nodes for pid in _children(node) if name in _name(pid)]

    def remove(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith(("127.0.0.1:", "done")):
                return line.strip()
        raise RuntimeError((self._folder / "cluster.log").read_text()[-2000:])


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""
