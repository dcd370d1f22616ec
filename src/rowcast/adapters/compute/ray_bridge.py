"""The process that speaks to a Ray cluster: JSON lines on its standard input and output, many jobs at once.

Ray ends the process of whoever it has lost the cluster for, so it has one of its own. It is told ``{"id", "run"}`` with
the request of a job and how much of a node it needs, ``{"id", "stop"}`` or ``{"id", "ask": "processors"}``; it says
``{"id", "said"}`` with the words of a job as ``ray_node.Attendant`` gives them, the last of them with a result or an
error, and then ``{"id", "over"}``. When standard input ends, whoever started it is gone, and it ends with all jobs.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import sys
import threading
from contextlib import suppress
from typing import IO, Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError

from rowcast.adapters.compute.ray_node import Attendant
from rowcast.errors import Unavailable

_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 5.0
"""For a job that is cancelled to stop by itself."""

_TRIES = 3
"""How often a job is started whose node was lost."""

_LOOKS_BEFORE_WAITING = 50
_WAITING = {"fraction": 0.0, "message": "waiting for room on the Ray cluster", "stage": "wait"}
_LOST = (
    "The job was lost with its node of the Ray cluster, again and again. If memory ran out there, use a smaller table "
    "or preset, or give the nodes more."
)


def serve(address: str) -> None:
    """Connect to the cluster and answer until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to standard error
    say = _Speaker(answers)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (OSError, RuntimeError, ValueError, RayError) as error:
        say(error=f"{type(error).__name__}")
        return
    say(processors=_processors())
    jobs: dict[str, _Job] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        match asked:
            case {"id": str(name), "run": dict(request)}:
                jobs = {other: job for other, job in jobs.items() if job.is_alive()}
                jobs[name] = _Job(name, request, say)
                jobs[name].start()
            case {"id": str(name), "stop": True} if name in jobs:
                jobs[name].stopping.set()
            case {"id": str(name), "ask": "processors"}:
                say(id=name, said={"result": {"processors": _processors()}})
                say(id=name, over=True)
    for job in jobs.values():
        job.stopping.set()
    for job in jobs.values():
        job.join(_GRACE_SECONDS)
    ray.shutdown()


class _Speaker:
    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers
        self._lock = threading.Lock()

    def __call__(self, **message: Any) -> None:
        with self._lock:
            self._answers.write(json.dumps(message, allow_nan=False) + "\n")
            self._answers.flush()


class _Job(threading.Thread):
    """Follows one job in the cluster. One whose node is lost is started again on another."""

    def __init__(self, name: str, run: dict[str, Any], say: _Speaker) -> None:
        super().__init__(name=f"job-{name}", daemon=True)
        self.stopping = threading.Event()
        self._id = name
        self._request = json.dumps(run["request"])
        self._needs = {"num_cpus": run["processors"]} | ({"memory": run["memory_bytes"]} if run["memory_bytes"] else {})
        self._say = say

    def run(self) -> None:
        try:
            self._tried()
        except RayError as error:
            message = f"The Ray cluster failed ({type(error).__name__}). Look at its own logs."
            self._say(id=self._id, said={"error": Unavailable("cluster_failed", message).to_dict()})
        finally:
            self._say(id=self._id, over=True)

    def _tried(self) -> None:
        for _ in range(_TRIES):
            attendant: Any = ray.remote(Attendant).options(max_restarts=0, **self._needs).remote(self._request)
            try:
                self._follow(attendant)
            except RayActorError:
                continue
            finally:
                ray.kill(attendant)
            return
        self._say(id=self._id, said={"error": Unavailable("job_killed", _LOST).to_dict()})

    def _follow(self, attendant: Any) -> None:
        """Pass on what the job says, until its last word or until it is to stop."""
        looks = itertools.count()
        while not self.stopping.is_set():
            asked = attendant.words.remote()
            while not ray.wait([asked], timeout=_LOOK_SECONDS)[0]:
                if next(looks) == _LOOKS_BEFORE_WAITING:  # an attendant that there is answers sooner
                    self._say(id=self._id, said={"progress": _WAITING})
                if self.stopping.is_set():
                    break
            else:
                for word in map(json.loads, ray.get(asked)):
                    self._say(id=self._id, said=word)
                    if "result" in word or "error" in word:
                        return
        with suppress(GetTimeoutError):  # one that has not begun never answers
            ray.get(attendant.stop.remote(), timeout=_GRACE_SECONDS)


def _processors() -> int:
    return int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    serve(sys.argv[1])
