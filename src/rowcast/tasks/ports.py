"""What tasks need of the world: a way to tell workers of new tasks, and a place where heavy jobs run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Dialect

from rowcast.datasets.ports import Progress
from rowcast.monitoring.recording import Writer


class Reader(Protocol):
    """A connection that is held for a thread that reads all the time."""

    @property
    def dialect(self) -> Dialect:
        """What its statements are written in."""
        ...

    def alone(self, statement: str, values: Sequence[Any]) -> list[Any]:
        """The rows of one statement that is a transaction by itself. When the connection has died it may be carried out
        twice."""
        ...

    def close(self) -> None:
        """Let the connection go."""
        ...


class Claimant(Reader, Writer, Protocol):
    """One for a thread that claims tasks and ends them all the time."""


class Delivery(Protocol):
    """One task id in the hands of a consumer, who answers for it by one of three calls. None of them waits or fails:
    an answer that does not arrive only means that the id comes again."""

    @property
    def task_id(self) -> str: ...

    @property
    def reply_to(self) -> str | None:
        """The process that published it, as ``announce`` takes it."""
        ...

    def done(self) -> None:
        """The task's row, or its lease, answers for the task from now on."""
        ...

    def back(self) -> None:
        """Not now, not here: another consumer may have it, or this one later. Others that came with it may come again
        too."""
        ...

    def refuse(self, reason: str) -> None:
        """Nobody can do anything with it: it goes to the dead letters. ``reason`` is a snake_case word."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that no worker could do anything with. ``id`` names it for ``revive``: the task's id, or the message's
    own when it names no task."""

    id: str
    lane: str
    reason: str
    died_at: datetime | None


class Lanes(Protocol):
    """What an operator sees of a broker. All raise ``Unavailable("broker_unavailable")`` when it does not answer."""

    def depths(self) -> dict[str, int]:
        """Messages by lane that no consumer has yet; one may be about several tasks."""
        ...

    def dead(self, limit: int) -> list[DeadLetter]:
        """The dead letters, oldest first."""
        ...

    def dead_count(self) -> int:
        """How many dead letters there are."""
        ...

    def revive(self, letter_id: str) -> bool:
        """Put the dead letter of that task back into its lane; False when there is none that names it."""
        ...


class Publisher(Lanes, Protocol):
    """Carries ids of tasks, by lane, to whoever waits for them. The task's row is the truth, a message only a hint:
    one that is lost, late or doubled does no harm.

    ``publish`` raises ``Unavailable("broker_unavailable")`` when the broker does not answer.
    """

    def publish(self, lane: str, task_ids: Sequence[str]) -> None:
        """Hand each id to one consumer of the lane; the broker has them all when the call returns."""
        ...

    def announce(self, told: Sequence[tuple[str | None, str]]) -> None:
        """Tell processes that tasks of theirs have changed, as (``reply_to``, task id); None is this process. A word
        that gets lost costs whoever waits a second: the call neither fails nor waits for anybody."""
        ...

    def listen(self, heard: Callable[[Sequence[str]], None]) -> None:
        """Have ``heard`` called, on any thread, with the ids of tasks that are announced to this process. To be called
        once, before the first ``publish``; a process that never does is not told anything."""
        ...

    def ping(self) -> None:
        """Return when the broker answers, else raise Unavailable."""
        ...

    def close(self) -> None:
        """Wake every consumer with nothing and accept nothing more; may be called twice."""
        ...


class Broker(Publisher, Protocol):
    """The same for a process that also takes tasks. ``consume`` raises as ``publish`` does."""

    def consume(self, lane: str, timeout: float, most: int = 1) -> Sequence[Delivery]:
        """The next ids of the lane, in order: up to ``most`` of those that are there, never waiting for more than
        one. None at all after ``timeout`` seconds, or once closed."""
        ...


class Tally(Protocol):
    """Counts what workers do."""

    def attempted(self, kind: str, outcome: str, count: int = 1) -> None:
        """So many attempts at tasks of that kind ended in a state that is final, or were ``retried`` or
        ``handed_back``."""
        ...


COMPUTE_AWAY = "compute_unavailable"
"""The code of ``Unavailable`` when no job can be started: the task waits for as long as that lasts."""


class Compute(Protocol):
    """Runs a named job away from the server's own process."""

    @property
    def slots(self) -> int:
        """How many jobs of one processor thread each it has room for at the same time."""
        ...

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
            Unavailable: ``job_killed``, its process died under it, or ``COMPUTE_AWAY``.
        """
        ...

    def spread(
        self,
        library: str,
        job: str,
        arguments: dict[str, Any],
        *,
        workers: int,
        report: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        timeout: float,
    ) -> dict[str, Any]:
        """A job that so many processes do together, by means of a library (``xgboost`` or ``lightgbm``); the result of
        the first. Besides its arguments each is given ``share`` and ``shares``, its number from 0 and how many there
        are, and ``network``, by which the library finds the others. There may be fewer than asked for.

        When one is lost, or raises ConnectionError, all are started again. Calls and errors are as of ``run``.
        """
        ...

    def ping(self) -> None:
        """Return when jobs can be started, else raise Unavailable."""
        ...
