# Made from rowcast/client/asynchronous/client.py by scripts/generate_sync_client.py: edit that one.
"""The client itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Literal

import httpx2

from rowcast.accounts.principal import Principal
from rowcast.client.answers import parse, request_of
from rowcast.client.credentials import DEFAULT_URL, of_session, resolve
from rowcast.client.retries import Retries
from rowcast.client.rows import (
    CHUNK_ROWS,
    EXPLAINED_ROWS,
    Row,
    chunks,
    joined,
    moved,
    pinned,
    question,
    records,
    shifted,
)
from rowcast.client.synchronous.account import OwnAccount
from rowcast.client.synchronous.connection import Connection, at
from rowcast.client.synchronous.credits import Ledger
from rowcast.client.synchronous.datasets import Datasets
from rowcast.client.synchronous.files import Files
from rowcast.client.synchronous.keys import Keys
from rowcast.client.synchronous.licence import Licence
from rowcast.client.synchronous.models import Models
from rowcast.client.synchronous.policies import Policies
from rowcast.client.synchronous.predictions import PredictionLog
from rowcast.client.synchronous.storage import StorageUpkeep
from rowcast.client.synchronous.tasks import Tasks
from rowcast.client.synchronous.users import Audit, Users
from rowcast.client.uploads import OnProgress
from rowcast.errors import RowcastError
from rowcast.models.importing.request import ImportRequest
from rowcast.models.recipe import RetrainRequest, TrainingRequest
from rowcast.models.tune.views import TuningRequest, TuningResult
from rowcast.models.views import Algorithm, TrainingResult
from rowcast.scoring.views import Predictions, WhatIf
from rowcast.tasks.views import Task

OnError = Literal["fail", "skip"]


class Client:
    """A Rowcast server.

    Address and key are taken from the arguments, else from ROWCAST_URL and ROWCAST_API_KEY, else from what `rowcast up`
    left in its data folder. With ``session``, the token of a browser's session, it calls as whoever is signed in there,
    and with no key; ``visitor`` is then what the server told of where they come from. Calls raise the errors of
    ``rowcast.errors``. Calls that are safe to repeat are, when the connection fails or the server is busy. Use it as a
    context manager, or close it.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        session: str | None = None,
        visitor: str = "",
        timeout: float = 60.0,
        retries: Retries | int = 4,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        policy = Retries(limit=retries) if isinstance(retries, int) else retries
        credentials = resolve(url, api_key) if session is None else of_session(url or DEFAULT_URL, session, visitor)
        self._connection = Connection(credentials, timeout=timeout, retries=policy, transport=transport)
        self.tasks = Tasks(self._connection)
        self.datasets = Datasets(self._connection, self.tasks)
        self.models = Models(self._connection)
        self.files = Files(self._connection, self.tasks)
        self.policies = Policies(self._connection)
        self.predictions = PredictionLog(self._connection)
        self.credits = Ledger(self._connection)
        self.account = OwnAccount(self._connection)
        self.keys = Keys(self._connection)
        self.users = Users(self._connection)
        self.audit = Audit(self._connection)
        self.storage = StorageUpkeep(self._connection)
        self.licence = Licence(self._connection)

    @property
    def url(self) -> str:
        return self._connection.url

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def me(self) -> Principal:
        """Whose key this is."""
        return self._connection.get(Principal, at("me"))

    def health(self) -> dict[str, Any]:
        """Whether the server can work: ``status`` is "ok" or "degraded", ``parts`` says of each part what is wrong."""
        response = self._connection.request("GET", at("health", "ready"), accept=503)
        return parse(dict[str, Any], response)

    def algorithms(self) -> list[Algorithm]:
        """The algorithms with their hyperparameters, types, ranges and defaults."""
        return self._connection.all(Algorithm, at("algorithms"))

    def train(self, request: TrainingRequest | None = None, /, **fields: Any) -> Task:
        """Start a training: a TrainingRequest, or its fields such as ``dataset="loans", target="status"``.

        Raises:
            InvalidInput: a field is unknown or has no right value.
        """
        body = request_of(TrainingRequest, request, fields)
        return parse(Task, self._connection.request("POST", at("trainings"), json=body, once=True))

    def train_and_wait(
        self, request: TrainingRequest | None = None, /, *, progress: OnProgress | None = None, **fields: Any
    ) -> TrainingResult:
        """Train, wait, and return what came of it."""
        return self.result(self.wait(self.train(request, **fields), progress))

    def tune(self, request: TuningRequest | None = None, /, **fields: Any) -> Task:
        """Start a search for the best model: a TuningRequest, or its fields such as ``dataset="loans",
        target="status", seconds=600``. See its trials with ``tasks.trials``.

        Raises:
            InvalidInput: a field is unknown or has no right value.
        """
        body = request_of(TuningRequest, request, fields)
        return parse(Task, self._connection.request("POST", at("tunings"), json=body, once=True))

    def tune_and_wait(
        self, request: TuningRequest | None = None, /, *, progress: OnProgress | None = None, **fields: Any
    ) -> TuningResult:
        """Search, wait, and return what came of it."""
        task = self.wait(self.tune(request, **fields), progress)
        return TuningResult.model_validate(task.result)

    def retrain(
        self, model: str, number: int | None = None, request: RetrainRequest | None = None, /, **fields: Any
    ) -> Task:
        """Train again with the recipe of a version (``model`` and number, or ``name@alias``): see RetrainRequest."""
        body = request_of(RetrainRequest, request, fields)
        name = model.partition("@")[0]
        chosen = self.models.number_of(model) if number is None else number
        path = at("models", name, "versions", chosen, "retrain")
        return parse(Task, self._connection.request("POST", path, json=body, once=True))

    def import_model(
        self, source: str, *, model: str | None = None, promote: bool = False, pickled: bool = False
    ) -> Task:
        """Start to make a model that is registered in MLflow (``name``, ``name@alias``, ``name/3``) a version of
        ``model``, by default of the same name; for administrators, if it is ``pickled``, too."""
        asked = {"source": source, "model": model, "promote": promote, "pickled": pickled}
        body = request_of(ImportRequest, None, asked)
        return parse(Task, self._connection.request("POST", at("models", "import"), json=body, once=True))

    def import_model_and_wait(
        self,
        source: str,
        *,
        model: str | None = None,
        promote: bool = False,
        pickled: bool = False,
        progress: OnProgress | None = None,
    ) -> TrainingResult:
        """Import, wait, and return what came of it: one candidate without figures."""
        task = self.import_model(source, model=model, promote=promote, pickled=pickled)
        return self.result(self.wait(task, progress))

    def wait(
        self,
        task: str | Task,
        progress: OnProgress | None = None,
        *,
        timeout: float | None = None,
        check: bool = True,
    ) -> Task:
        """The task once it is finished: see ``tasks.wait``."""
        return self.tasks.wait(task, progress, timeout=timeout, check=check)

    @staticmethod
    def result(task: Task) -> TrainingResult:
        """What a finished training made."""
        return TrainingResult.model_validate(task.result)

    def predict(
        self,
        model: str,
        rows: Any,
        *,
        on_error: OnError = "fail",
        explain: bool | int = False,
        chunk_rows: int = CHUNK_ROWS,
    ) -> Predictions:
        """Predictions for one row (an object), any number of rows, or a polars or pandas table.

        Many rows go in several calls, all to the version that answered the first. Row numbers in problems count in the
        whole. With ``on_error="skip"`` bad rows get None and their problems are in ``errors``. ``explain`` is how many
        reasons to give with every prediction, True for all; it costs milliseconds a row.

        Raises:
            InvalidInput: a row is bad and ``on_error`` is "fail"; the problems name row and field.
        """
        answers = self.predict_each(model, records(rows), on_error=on_error, explain=explain, chunk_rows=chunk_rows)
        return joined(list(answers))

    def predict_each(
        self,
        model: str,
        rows: Iterable[Row],
        *,
        on_error: OnError = "fail",
        explain: bool | int = False,
        chunk_rows: int = CHUNK_ROWS,
        queue: bool = False,
    ) -> Iterator[Predictions]:
        """As ``predict``, chunk by chunk as the answers come, reading the rows only as far as needed. With ``queue``
        each chunk is a task."""
        for chunk in chunks(rows, min(chunk_rows, EXPLAINED_ROWS) if explain else chunk_rows):
            body = chunk.body(on_error, explain)
            try:
                answer = self._answer_later(model, body) if queue else self._answer(model, body)
            except RowcastError as error:
                raise moved(error, chunk.offset) from None
            model = pinned(model, answer)
            yield answer.model_copy(update={"errors": shifted(answer.errors, chunk.offset)})

    def _answer(self, model: str, body: bytes) -> Predictions:
        path, headers = at("models", model, "predict"), {"Content-Type": "application/json"}
        return parse(Predictions, self._connection.request("POST", path, content=body, headers=headers, once=True))

    def _answer_later(self, model: str, body: bytes) -> Predictions:
        task = self.tasks.submit(model, body, wait=20)
        return self.tasks.predictions(self.tasks.wait(task))

    def what_if(self, model: str, row: Row, variations: Iterable[Row]) -> WhatIf:
        """How the answer to a row would differ if it differed in the fields of each variation: one call, in order.

        Raises:
            InvalidInput: a row is bad; in the problems row 1 is the row itself and row 2 the first variation.
        """
        response = self._connection.request(
            "POST",
            at("models", model, "what-if"),
            content=question(row, variations),
            headers={"Content-Type": "application/json"},
            once=True,
        )
        return parse(WhatIf, response)
