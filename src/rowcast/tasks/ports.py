"""What tasks need of the world: a way to tell workers of new tasks, and a place where heavy jobs run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rowcast.datasets.ports import Progress


@dataclass(frozen=True, slots=True)
class Delivery:
    """One task id handed to a worker. ``done`` is called once the task's row says what became of it."""

    task_id: str
    done: Callable[[], None]


class Broker(Protocol):
    """Carries ids of tasks, by lane, to whoever waits for them. The task's row is the truth, a message only a hint:
    one that is lost, late or doubled does no harm.

    ``publish`` and ``consume`` raise ``Unavailable("broker_unavailable")`` when the broker does not answer.
    """

    def publish(self, lane: str, task_id: str) -> None:
        """Hand the id to one consumer of the lane; the broker has it when the call returns."""
        ...

    def consume(self, lane: str, timeout: float) -> Delivery | None:
        """The next id of the lane, or None after ``timeout`` seconds or once closed."""
        ...

    def ping(self) -> None:
        """Return when the broker answers, else raise Unavailable."""
        ...

    def close(self) -> None:
        """Wake every consumer with None and accept nothing more; may be called twice."""
        ...


class Compute(Protocol):
    """Runs a named job away from the server's own process."""

    def run(
        self,
        job: str,
        arguments: dict[str, Any],
        *,
        report: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        timeout: float,
    ) -> dict[str, Any]:
        """The job's JSON-ready result. Blocks the calling thread, which also makes every call of ``report`` and
        ``cancelled`` (asked several times a second).

        Raises:
            RowcastError: whatever the job raised, with its code, message and problems.
            Cancelled: ``cancelled`` said so; the job has stopped.
            TimedOut: it took longer than ``timeout`` seconds; the job has stopped.
            Unavailable: ``job_killed``, its process died under it.
        """
        ...

    def ping(self) -> None:
        """Return when jobs can be started, else raise Unavailable."""
        ...
