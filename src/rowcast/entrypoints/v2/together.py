"""Small calls that arrive together, answered together.

A call like most, of few rows, under a key that was seen a moment ago, has nothing to wait for but the model and the
journal. Such calls are gathered until the end of the turn of the event loop in which they came, scored in one go and
put on record in one go; each is checked, counted and refused by itself. What is otherwise in any way is answered alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from rowcast.accounts.principal import Principal
from rowcast.datasets.columns import Columns
from rowcast.entrypoints.rest.predictions import BYTES_ON_THE_LOOP
from rowcast.entrypoints.rest.security import PREDICTING
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.v2.infer import Inferred, kept, score_rows, with_outputs
from rowcast.entrypoints.v2.inputs import rows_of
from rowcast.entrypoints.v2.outputs import OutputsTogether
from rowcast.entrypoints.v2.tensors import Asked
from rowcast.errors import RowcastError
from rowcast.models.bundle.runtime import MatrixRuntime
from rowcast.monitoring.receipts import Scored, Small
from rowcast.scoring.answers import NO_OUTPUTS
from rowcast.scoring.loaded import LoadedModel, Served
from rowcast.scoring.predict import Run
from rowcast.scoring.requests import check_count

T = TypeVar("T", contravariant=True)

log = logging.getLogger(__name__)


class Caller(Protocol[T]):
    """Who waits for an answer."""

    @property
    def over(self) -> bool:
        """Whether they do so no longer: then nothing is put on record for them any more."""
        ...

    def reply(self, rendered: T) -> None: ...

    def refuse(self, error: Exception) -> None: ...


class _Call(msgspec.Struct, Generic[T], frozen=True):
    principal: Principal
    served: Served
    body: bytes
    read: Callable[[], Asked]
    caller: Caller[T]
    begun: int


class _Read(msgspec.Struct, Generic[T], frozen=True):
    call: _Call[T]
    asked: Asked
    rows: Sequence[dict[str, Any]]


class _Done(msgspec.Struct, Generic[T], frozen=True):
    call: _Call[T]
    scored: Scored
    rendered: T


class Together(Generic[T]):
    """Gathers the calls of one event loop. ``render`` writes their answers."""

    def __init__(self, services: Services, render: Callable[[Inferred], T]) -> None:
        self._services = services
        self._render = render
        self._gathered: list[_Call[T]] = []
        self.waiting = 0
        """Calls that are not answered yet."""

    def take(
        self, principal: Principal | None, reference: str, body: bytes, read: Callable[[], Asked], caller: Caller[T]
    ) -> bool:
        """Have a call answered, which ``read`` takes out of its body; False for one that is not like most. None is a
        caller who is not known at the moment."""
        if principal is None or principal.limits is not None or len(body) > BYTES_ON_THE_LOOP:
            return False
        try:
            PREDICTING.check(principal)
            served = self._services.catalog.find(principal, reference)
        except RowcastError:
            return False
        if served is None or not isinstance(served.model.runtime, MatrixRuntime):
            return False
        if served.decider is not None and served.decider.reader is not None:
            return False
        self.waiting += 1
        self._gathered.append(_Call(principal, served, body, read, caller, self._services.statistics.begin()))
        if len(self._gathered) == 1:
            asyncio.get_running_loop().call_soon(self._answer_all)
        return True

    def _answer_all(self) -> None:
        calls, self._gathered = self._gathered, []
        groups: dict[int, list[_Read[T]]] = {}
        for call in calls:
            try:
                groups.setdefault(id(call.served), []).append(self._read(call))
            except Exception as error:  # noqa: BLE001  (the last to see it)
                self._fail(call, error)
        done = [one for group in groups.values() for one in self._done(group)]
        if not done:
            return
        try:
            self._services.receipts.keep_all(
                [one.scored for one in done], partial(self._tell, done), lambda place: done[place].call.caller.over
            )
        except RowcastError as error:
            self._tell(done, [error] * len(done))

    def _read(self, call: _Call[T]) -> _Read[T]:
        asked = call.read()
        rows = rows_of(asked.inputs, call.served.model)
        check_count(len(rows), self._services.settings.max_rows_per_call)
        return _Read(call, asked, rows)

    def _done(self, group: Sequence[_Read[T]]) -> Iterator[_Done[T]]:
        """What is to be put on record and answered, of the calls to one model."""
        several: Sequence[Callable[[], Inferred] | None]
        try:
            several = self._scored(group)
        except Exception:  # noqa: BLE001  (whose it is shows when each is scored by itself)
            several = [None] * len(group)
        for one, inferred in zip(group, several, strict=True):
            try:
                own = inferred() if inferred is not None else self._alone(one)
                yield _Done(one.call, own.scored, self._render(own))
            except Exception as error:  # noqa: BLE001  (the last to see it)
                self._fail(one.call, error)

    def _alone(self, read: _Read[T]) -> Inferred:
        call = read.call
        scored = score_rows(self._services, call.principal, call.served, call.body, read.rows)
        return with_outputs(read.asked, call.served.model, scored)

    def _scored(self, group: Sequence[_Read[T]]) -> Sequence[Callable[[], Inferred]]:
        """The rows of all, read and run in one go, and what makes the outputs of each."""
        served = group[0].call.served
        rows = Columns.joined([read.rows for read in group])
        found = served.reader.read(rows)
        outputs = served.model.runtime.run(found.inputs) if rows else NO_OUTPUTS
        calls, start = [], 0
        for one in group:
            end = start + len(one.rows)
            calls.append(Small(one.call.principal, one.call.body, kept(one.rows), start, end))
            start = end
        scored = self._services.receipts.score_together(served, calls, rows, Run(found, outputs))
        made = OutputsTogether(served.model, outputs)
        return [
            partial(_inferred, read.asked, served.model, one, made, call.start, call.end)
            for read, one, call in zip(group, scored, calls, strict=True)
        ]

    def _tell(self, done: Sequence[_Done[T]], refused: Sequence[RowcastError | None]) -> None:
        for one, error in zip(done, refused, strict=True):
            call = one.call
            if error is not None:
                self._fail(call, error)
                continue
            model = call.served.model
            self._services.statistics.succeeded(model.name, model.number, call.begun, one.scored.entry.row_count)
            self._over(partial(call.caller.reply, one.rendered))

    def _fail(self, call: _Call[T], error: Exception) -> None:
        model = call.served.model
        self._services.statistics.failed(model.name, model.number, call.begun)
        self._over(partial(call.caller.refuse, error))

    def _over(self, tell: Callable[[], None]) -> None:
        """Tell one caller; whatever is wrong with them is not to keep the others from being told."""
        self.waiting -= 1
        try:
            tell()
        except Exception as error:  # noqa: BLE001  (the last to see it)
            log.error("unexpected %s as a call was answered", type(error).__name__)


def _inferred(
    asked: Asked, model: LoadedModel, scored: Scored, made: OutputsTogether, start: int, end: int
) -> Inferred:
    return Inferred(asked, model, scored, made.of(asked, start, end))
