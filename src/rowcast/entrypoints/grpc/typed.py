"""Methods that read or answer otherwise than REST: typed rows, streams of messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import msgspec

from rowcast.accounts.principal import Principal
from rowcast.datasets import dictionary
from rowcast.entrypoints.grpc.calls import Handler, admitted, idempotency_key, identified
from rowcast.entrypoints.grpc.loop import Loop
from rowcast.entrypoints.grpc.predicting import body_of, predicted, to_score
from rowcast.entrypoints.rest import outcome, tasks
from rowcast.entrypoints.rest.security import PREDICTING, READING
from rowcast.entrypoints.services import Services
from rowcast.errors import Unavailable
from rowcast.models import registry
from rowcast.models.references import resolve
from rowcast.tasks import predictions as queued
from rowcast.tasks.views import Task as TaskView
from rowcast.v1 import rowcast_pb2 as v1
from rowcast.v1.data import fill
from rowcast.v1.predictions_pb2 import Predictions
from rowcast.v1.tasks_pb2 import Task

LOOK_AGAIN_SECONDS = 60.0
"""A stream asks anew this often; nobody sees it."""

Context = grpc.ServicerContext


class Typed:
    """The handlers, by method. Safe to use from any thread."""

    def __init__(self, services: Services, loop: Loop) -> None:
        self._services = services
        self._loop = loop

    def handlers(self) -> dict[str, Handler]:
        return {
            "Predict": self._predict,
            "PredictStream": self._predict_stream,
            "SubmitPrediction": self._submit,
            "GetMetrics": self._metrics,
            "WatchTask": self._watch,
            "ReplaceDictionary": self._replace_dictionary,
            "MergeDictionary": self._merge_dictionary,
        }

    def _predict(self, asked: v1.PredictRequest, context: Context, principal: Principal | None) -> Predictions:
        assert principal is not None
        return predicted(self._services, principal, asked, idempotency_key(context))

    def _predict_stream(
        self, calls: Iterator[v1.PredictRequest], context: Context, principal: Principal | None
    ) -> Iterator[Predictions]:
        for number, asked in enumerate(calls):
            if number:  # the first was looked at when the stream began
                principal = admitted(self._services, context, PREDICTING)
            assert principal is not None
            yield predicted(self._services, principal, asked, idempotency_key(context, number))

    def _submit(self, asked: v1.SubmitPredictionRequest, context: Context, principal: Principal | None) -> Task:
        assert principal is not None
        services, wanted = self._services, asked.prediction
        rows = to_score(wanted, max_rows=services.settings.max_rows_per_call)
        body = body_of(rows, kind=queued.KIND, model=wanted.model)
        wait = min(asked.wait, outcome.LONGEST_WAIT) if asked.HasField("wait") else None

        async def submit() -> tuple[int, dict[str, str], bytes]:
            key = asked.idempotency_key if asked.HasField("idempotency_key") else idempotency_key(context)
            made = await tasks.taken_in(services, principal, body, key)
            return await outcome.answer(services, principal, made, wait)

        reply = Task()
        fill(reply, msgspec.json.decode(self._loop.run(submit(), context)[2]))
        return reply

    def _metrics(
        self, asked: v1.GetMetricsRequest, context: Context, principal: Principal | None
    ) -> v1.GetMetricsResponse:
        assert principal is not None
        with self._services.database.reading() as session:
            model, version, _ = resolve(session, principal, asked.model)
            found = registry.version_view(session, principal, model.name, version.number)
        reply = v1.GetMetricsResponse(version=found.number)
        fill(reply, found.model_dump(mode="json", include={"model", "metrics", "evaluation"}))
        return reply

    def _watch(self, asked: v1.WatchTaskRequest, context: Context, principal: Principal | None) -> Iterator[Task]:
        for task in self._loop.watch(self._changes(context, asked.task_id), context):
            reply = Task()
            fill(reply, task.model_dump(mode="json"))
            yield reply

    async def _changes(self, context: Context, task_id: str) -> AsyncIterator[TaskView]:
        async def look() -> TaskView:
            still = await asyncio.to_thread(identified, self._services, context)
            READING.check(still)
            return await outcome.current(self._services, still, task_id)

        task = await look()
        yield task
        while not task.state.final:
            try:
                async for later in self._services.notices.follow(task_id, look, timeout=LOOK_AGAIN_SECONDS):
                    if later != task:
                        yield later
                    task = later
            except Unavailable:  # the database is away: the stream has begun, and looks again
                await asyncio.sleep(tasks.PAUSE_SECONDS)

    def _replace_dictionary(
        self, asked: v1.DescribeColumnsRequest, context: Context, principal: Principal | None
    ) -> v1.DescribeColumnsResponse:
        assert principal is not None
        with self._services.database.transaction() as session:
            entries = dictionary.replace_dictionary(session, principal, asked.name, dict(asked.descriptions))
        return v1.DescribeColumnsResponse(entries=entries)

    def _merge_dictionary(
        self, asked: v1.DescribeColumnsRequest, context: Context, principal: Principal | None
    ) -> v1.DescribeColumnsResponse:
        assert principal is not None
        with self._services.database.transaction() as session:
            entries = dictionary.merge_dictionary(session, principal, asked.name, dict(asked.descriptions))
        return v1.DescribeColumnsResponse(entries=entries)
