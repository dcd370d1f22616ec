"""What two versions of a model differ in, and which served when: plain reckoning on the answers of the API."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from rowcast.models.views import AliasEvent, Metric, ModelVersionDetail


@dataclass(frozen=True)
class MetricChange:
    """A figure of the version that serves and of the one that is to. None where a version lacks it.

    ``better`` is None where their intervals overlap so far that neither can be called better: where each figure lies
    within the other's interval.
    """

    name: str
    now: Metric | None
    then: Metric | None

    @property
    def difference(self) -> float | None:
        return None if self.now is None or self.then is None else self.then.value - self.now.value

    @property
    def better(self) -> bool | None:
        if self.now is None or self.then is None or self.now.value == self.then.value:
            return None
        if _within(self.now.value, self.then) and _within(self.then.value, self.now):
            return None
        return (self.then.value > self.now.value) is self.then.greater_is_better


@dataclass(frozen=True)
class Change:
    """What is different once another version serves. Features that rows need from then on, and those they need not."""

    metrics: list[MetricChange]
    added: list[str]
    removed: list[str]
    needed: list[str]


@dataclass(frozen=True)
class Span:
    """How long an alias pointed at a version; ``end`` is None while it does."""

    alias: str
    number: int
    start: datetime
    end: datetime | None
    moved_by: str
    action: str


def change_of(now: ModelVersionDetail, then: ModelVersionDetail) -> Change:
    """What is different with ``then`` in the place of ``now``."""
    old, new = ({feature.name: feature for feature in each.feature_schema.features} for each in (now, then))
    figures = {metric.name: metric for metric in now.metrics}, {metric.name: metric for metric in then.metrics}
    names = list(dict.fromkeys([*figures[1], *figures[0]]))
    return Change(
        [MetricChange(name, figures[0].get(name), figures[1].get(name)) for name in names],
        [name for name in new if name not in old],
        [name for name in old if name not in new],
        [
            name
            for name, feature in new.items()
            if not feature.may_be_missing and (name not in old or old[name].may_be_missing)
        ],
    )


def spans(events: Sequence[AliasEvent]) -> list[Span]:
    """What each alias pointed at and how long, from its moves, newest first; what points now comes first."""
    found: list[Span] = []
    following: dict[str, datetime] = {}
    for event in events:
        if event.number is not None:
            end = following.get(event.alias)
            found.append(Span(event.alias, event.number, event.moved_at, end, event.moved_by, event.action))
        following[event.alias] = event.moved_at
    return found


def goes_back_to(events: Sequence[AliasEvent], alias: str, existing: Collection[int]) -> int | None:
    """The version that a rollback leads to, from the moves, newest first: what served before, not counting what was
    rolled back since. None where there is none left."""
    served: list[int] = []
    for event in reversed([event for event in events if event.alias == alias]):
        if event.action == "rollback" and event.number in served:
            del served[_last(served, event.number) + 1 :]
        elif event.number is not None and event.number not in served[-1:]:
            served.append(event.number)
    present = served[-1] if served else None
    return next((number for number in reversed(served[:-1]) if number in existing and number != present), None)


def _last(numbers: Sequence[int], number: int) -> int:
    return len(numbers) - 1 - numbers[::-1].index(number)


def _within(value: float, other: Metric) -> bool:
    return other.low is not None and other.high is not None and other.low <= value <= other.high
