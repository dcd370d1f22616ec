"""A job that several processes of a Ray cluster do together, each with its share: a model that learns from more rows
than one of them holds. Ray Train's own trainers start them, tell them of one another, and start all of them again when
one is lost; what is to be kept until then is the job's business, in the storage.

Whoever sees to it is a job itself, which takes nothing of its node: a child process that is a driver of Ray's. When it
ends, however it ends, Ray ends all that it has started.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from importlib import import_module
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

from rowcast.adapters.compute.local import surroundings
from rowcast.datasets.ports import Progress, Report, Storage
from rowcast.errors import RowcastError, Unavailable

_LISTEN_SECONDS = 0.2
_TRIES = 3
"""How often all are started when one was lost."""

_ROOM_SECONDS = 2.0
"""How often it is said that there is no room, and asked how much there could be."""

_PLACES_SECONDS = 10
"""For Ray Train to find places, first or after a loss: it says nothing meanwhile, as we do."""

_TOO_SMALL = "waiting for a node of the Ray cluster that is large enough for one process"

_LOST = (
    "Processes that learned together were lost again and again, or failed: the log of the worker says which. If memory "
    "ran out on the nodes of the Ray cluster, give them more, or add nodes: each then has fewer rows."
)


class Ear:
    """Tells the processes what to do, and keeps what they say until it is asked for; an actor of Ray. What to do has
    the access key of the storage in it, so it is not in the configuration of the trainer, which Ray may show."""

    def __init__(self, told: str) -> None:
        self._told = told
        self._said: SimpleQueue[str] = SimpleQueue()

    def told(self) -> str:
        return self._told

    def hear(self, word: str) -> None:
        self._said.put(word)

    def words(self) -> list[str]:
        """What was said since the last call, at once when there is something: the JSON of ``{"progress"}``, of the
        ``{"result"}``, or of an ``{"error"}`` with what the operator's ``{"log"}`` is to say of it."""
        try:
            said = [self._said.get(timeout=_LISTEN_SECONDS)]
        except Empty:
            return []
        while not self._said.empty():
            said.append(self._said.get())
        return said


def spread(
    storage: Storage,
    report: Report,
    *,
    entry: str,
    library: str,
    workers: int,
    needs: dict[str, float],
    share: dict[str, Any],
) -> dict[str, Any]:
    """Have so many processes do a job, each with what it ``needs`` of a node, and return what the first one does.

    ``entry`` is the ``module:name`` of what does a share: it takes a request as a child process does, and who is told
    of progress. ``share`` is the request of every share but for its number.

    Raises what a share does, and ``Unavailable("job_killed")`` when they were lost too often.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    os.environ["RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"] = str(_PLACES_SECONDS)
    ray.init(address=os.environ["RAY_ADDRESS"], log_to_driver=False, configure_logging=False)
    told = json.dumps({"entry": entry, "library": library, "share": share})
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    ear = ray.remote(Ear).options(num_cpus=0, scheduling_strategy=here).remote(told)
    count, begun, lost = workers, False, 0
    with TemporaryDirectory(prefix="rowcast-") as folder:  # for notes of Ray's; nothing of ours
        while lost < _TRIES:
            try:
                count = _found_room(count if begun else workers, needs, report, fewer=not begun)
                report(Progress(fraction=0.0, message=f"starting processes on the Ray cluster: {count}", stage="wait"))
                learning = _Learning(_trainer(library, count, needs, ear, folder))
                learning.start()
                result = _listen(ear, learning, report)
            except ray.exceptions.RayError as error:
                raise Unavailable("job_killed", _LOST) from error
            if result is not None:
                return result
            if not learning.may_start_again:
                break
            begun = begun or learning.begun
            lost += learning.begun or not learning.without_places
    traceback.print_exception(learning.failure)
    raise Unavailable("job_killed", _LOST)


def _found_room(workers: int, needs: dict[str, float], report: Report, *, fewer: bool) -> int:
    """Wait until so many processes have room at once, and say so; how many. Where ``fewer`` will do, it is no more than
    the cluster could hold if nothing else ran, which is asked again while it waits: Ray counts a node that was lost
    for some seconds more."""
    from ray.util.placement_group import placement_group, remove_placement_group

    while True:
        count = max(1, min(workers, _room(needs))) if fewer else workers
        # A group that waits is also what an autoscaler goes by.
        group = placement_group([needs] * count, strategy="SPREAD")
        try:
            while not group.wait(_ROOM_SECONDS):
                message = _waiting(count, needs) if _room(needs) else _TOO_SMALL
                report(Progress(fraction=0.0, message=message, stage="wait"))
                if fewer and count != max(1, min(workers, _room(needs))):
                    break
            else:
                return count
        finally:
            remove_placement_group(group)  # Ray Train makes its own


def _room(needs: dict[str, float]) -> int:
    """How many processes the nodes that Ray takes to be alive can hold when nothing else runs."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return sum(min(int(node.get(name, 0) // need) for name, need in needs.items()) for node in nodes)


def _waiting(count: int, needs: dict[str, float]) -> str:
    memory = f", with {needs['memory'] / 2**20:.0f} MB of memory for each process" if "memory" in needs else ""
    return f"waiting for free processors of the Ray cluster: {count * needs['CPU']:g}{memory}"


class _Learning(threading.Thread):
    """All that Ray Train does; ``failure`` is why it gave up. It has ``begun`` when a process has said something."""

    def __init__(self, trainer: Any) -> None:
        super().__init__(name="learning", daemon=True)
        self._trainer = trainer
        self.begun = False
        self.failure: BaseException | None = None

    @property
    def may_start_again(self) -> bool:
        """Whether it gave up before all processes had started: those that are lost later it starts again itself."""
        from ray.train.v2.api.exceptions import ControllerError

        return isinstance(self.failure, ControllerError)

    @property
    def without_places(self) -> bool:
        """Whether it gave up because there was no room for all processes."""
        from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

        return isinstance(getattr(self.failure, "controller_failure", None), WorkerGroupStartupTimeoutError)

    def run(self) -> None:
        try:
            self._trainer.fit()
        except BaseException as error:  # noqa: BLE001  (it is raised where somebody waits)
            self.failure = error


def _listen(ear: Any, learning: _Learning, report: Report) -> dict[str, Any] | None:
    """The result, or None when Ray Train gave up."""
    import ray

    result: dict[str, Any] | None = None
    over = False
    while not over:
        over = not learning.is_alive()
        for word in map(json.loads, ray.get(ear.words.remote())):
            learning.begun = True
            match word:
                case {"progress": progress}:
                    report(Progress.model_validate(progress))
                case {"result": dict(result)}:
                    pass
                case {"error": error, "log": log}:
                    sys.stderr.write(log)
                    raise RowcastError.from_dict(error)
    return result


def _trainer(library: str, workers: int, needs: dict[str, float], ear: Any, folder: str) -> Any:
    from ray.train.v2.api.config import FailureConfig, RunConfig, ScalingConfig

    trainer = {"lightgbm": "LightGBMTrainer", "xgboost": "XGBoostTrainer"}[library]
    return getattr(import_module(f"ray.train.{library}"), trainer)(
        _share,
        train_loop_config={"ear": ear},
        scaling_config=ScalingConfig(num_workers=workers, resources_per_worker=needs, placement_strategy="SPREAD"),
        run_config=RunConfig(
            storage_path=folder,
            failure_config=FailureConfig(max_failures=_TRIES - 1, controller_failure_limit=0),
            worker_runtime_env={"env_vars": surroundings(int(needs["CPU"]))},
        ),
    )


def _share(config: dict[str, Any]) -> None:
    """The share of one process. When it has lost the others, Ray starts all again; any other error ends the job."""
    import ray
    from ray.train import get_context

    ear, place = config["ear"], get_context()
    asked = json.loads(ray.get(ear.told.remote()))
    request = asked["share"]
    request["arguments"] |= {
        "share": place.get_world_rank(),
        "shares": place.get_world_size(),
        "network": _network(asked["library"]),
    }
    module, name = asked["entry"].split(":")

    def report(progress: Progress) -> None:
        ear.hear.remote(_said(progress=progress.model_dump(mode="json", exclude_none=True)))

    try:
        said = _said(result=getattr(import_module(module), name)(request, report))
    except RowcastError as error:
        ray.get(ear.hear.remote(_said(error=error.to_dict(), log=traceback.format_exc())))
        raise
    if place.get_world_rank() == 0:
        ray.get(ear.hear.remote(said))


def _network(library: str) -> dict[str, Any]:
    """By which parameters LightGBM finds the others. XGBoost is told by Ray."""
    if library != "lightgbm":
        return {}
    from ray.train.lightgbm import get_network_params

    return dict(get_network_params())


def _said(**message: Any) -> str:
    return json.dumps(message, allow_nan=False)
