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
from dataclasses import dataclass, replace
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

_IDLE_SECONDS = 5.0
"""How long an attendant whose job is over waits for another, with its room on the node."""

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
    attendants = _Attendants()
    jobs: dict[str, _Job] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        match asked:
            case {"id": str(name), "run": dict(request)}:
                jobs = {other: job for other, job in jobs.items() if job.is_alive()}
                jobs[name] = _Job(name, request, attendants, say)
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


@dataclass(frozen=True, eq=False, slots=True)
class _Hired:
    """An attendant on a node, and how much of the node it has. It is ``new`` until it has had a job."""

    actor: Any
    needs: dict[str, int]
    new: bool


class _Attendants:
    """One whose job is over waits a while for the next that needs as much: the jobs of a search come one after the
    other, and most of what it takes to start one is the start of its attendant."""

    def __init__(self) -> None:
        self._idle: list[_Hired] = []
        self._awaited: set[_Hired] = set()
        """Those that have not answered yet, perhaps because there is no room."""
        self._lock = threading.Lock()

    def take(self, needs: dict[str, int]) -> _Hired:
        """An attendant with so much of a node, or one that will be there when there is room."""
        with self._lock:
            fitting = [one for one in self._idle if one.needs == needs]
            others = [one for one in self._idle if one.needs != needs]
            taken = fitting.pop() if fitting else None  # the last to come back, so that the others' time runs out
            self._idle = fitting
        for other in others:  # whose room may be just what is needed
            ray.kill(other.actor)
        if taken is not None:
            return taken
        hired = _Hired(ray.remote(Attendant).options(max_restarts=0, **needs).remote(), needs, new=True)
        with self._lock:
            self._awaited.add(hired)
        return hired

    def is_there(self, hired: _Hired) -> None:
        """It has answered."""
        with self._lock:
            self._awaited.discard(hired)

    def give_back(self, used: _Hired, *, idle: bool) -> None:
        """It has no job any more; unless it is ``idle`` nobody knows what it does, and it has to go."""
        free = replace(used, new=False)
        with self._lock:
            self._awaited.discard(used)
            kept = idle and not self._awaited
            self._idle += [free] if kept else []
        if not kept:
            ray.kill(used.actor)
            return
        timer = threading.Timer(_IDLE_SECONDS, self._dismiss, [free])
        timer.daemon = True
        timer.start()

    def _dismiss(self, idle: _Hired) -> None:
        with self._lock:
            if idle not in self._idle:
                return
            self._idle.remove(idle)
        ray.kill(idle.actor)


class _Job(threading.Thread):
    """Follows one job in the cluster. One whose node is lost is started again on another."""

    def __init__(self, name: str, run: dict[str, Any], attendants: _Attendants, say: _Speaker) -> None:
        super().__init__(name=f"job-{name}", daemon=True)
        self.stopping = threading.Event()
        self._id = name
        self._request = json.dumps(run["request"])
        self._needs = {"num_cpus": run["processors"]} | ({"memory": run["memory_bytes"]} if run["memory_bytes"] else {})
        self._attendants = attendants
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
        lost = 0
        while lost < _TRIES:
            attendant, idle = self._attendants.take(self._needs), False
            try:
                attendant.actor.begin.remote(self._request)
                idle = self._follow(attendant)
            except RayActorError:
                lost += attendant.new  # one that was idle may have been lost before
                continue
            finally:
                self._attendants.give_back(attendant, idle=idle)
            return
        self._say(id=self._id, said={"error": Unavailable("job_killed", _LOST).to_dict()})

    def _follow(self, attendant: _Hired) -> bool:
        """Pass on what the job says, until its last word or until it is to stop; whether nothing of it is left."""
        while not self.stopping.is_set():
            asked, looks = attendant.actor.words.remote(), itertools.count()
            while not ray.wait([asked], timeout=_LOOK_SECONDS)[0]:
                if next(looks) == _LOOKS_BEFORE_WAITING:  # an attendant that there is answers sooner
                    self._say(id=self._id, said={"progress": _WAITING})
                if self.stopping.is_set():
                    break
            else:
                self._attendants.is_there(attendant)
                for word in map(json.loads, ray.get(asked)):
                    self._say(id=self._id, said=word)
                    if "result" in word or "error" in word:
                        return True
        with suppress(GetTimeoutError):  # one that has not begun never answers
            ray.get(attendant.actor.stop.remote(), timeout=_GRACE_SECONDS)
            return True
        return False


def _processors() -> int:
    return int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    serve(sys.argv[1])
