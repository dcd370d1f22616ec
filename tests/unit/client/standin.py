"""A small server that keeps to the REST contract strictly and to nothing else: what client and CLI are tested against.

It is real HTTP on a real port. Tables are CSV files with a header; "training" takes four looks at the task.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from rowcast.accounts.views import Link
from rowcast.client import Retries
from rowcast.datasets.ports import Progress
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.datasets.views import (
    ColumnProfile,
    Dataset,
    DatasetVersion,
    DatasetVersionDetail,
    Preview,
    TableProfile,
    TableWarning,
    TopValue,
)
from rowcast.errors import Problem
from rowcast.models.recipe import Recipe, RetrainRequest, TrainingRequest
from rowcast.models.tune.views import Selection, Study, TrialResult, TuningRequest, TuningResult, Weight
from rowcast.models.views import (
    Algorithm,
    AliasEvent,
    Candidate,
    Hyperparameter,
    LeftOut,
    Metric,
    Model,
    ModelVersion,
    ModelVersionDetail,
    TrainingResult,
)
from rowcast.scoring.views import (
    Band,
    Explanation,
    Prediction,
    Predictions,
    PredictRequest,
    Reason,
    Similar,
    Variation,
    WhatIf,
    WhatIfRequest,
)
from rowcast.tasks.views import Task, TaskState

KEY = "rc_standin"
QUICK = Retries(limit=3, base=0.001, cap=0.01)
MAX_ROWS = 100
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
METRICS = [
    Metric(name="roc_auc", value=0.8123, low=0.79, high=0.83),
    Metric(name="log_loss", value=0.41, low=0.39, high=0.43, greater_is_better=False),
]
FEATURES = FeatureSchema(
    features=(
        Feature(name="amount", kind=Kind.NUMBER, example=1200.0, description="Amount paid out"),
        Feature(name="grade", kind=Kind.CATEGORY, categories=("A", "B"), example="A"),
    )
)


class Refusal(Exception):
    """An answer of problem details."""

    def __init__(self, status: int, code: str, detail: str, problems: list[dict[str, Any]] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.problems = status, code, detail, problems or []


@dataclass
class Standin:
    """The server's state, and switches for the tests."""

    tables: dict[str, list[DatasetVersionDetail]] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)
    dictionaries: dict[str, dict[str, str]] = field(default_factory=dict)
    models: dict[str, list[ModelVersionDetail]] = field(default_factory=dict)
    aliases: dict[str, dict[str, int]] = field(default_factory=dict)
    events: dict[str, list[AliasEvent]] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    """The idempotency key of each request."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    prepared: list[Response] = field(default_factory=list)
    slow_import: bool = False
    reports: set[str] = field(default_factory=set)
    never_done: bool = False
    degraded: bool = False

    def empty(self) -> None:
        """Forget everything."""
        vars(self).update(vars(Standin()))

    def app(self) -> Starlette:
        api = "/api/v1"
        routes = [
            ("GET", "/health/ready", self.ready),
            ("GET", "/me", self.me),
            ("POST", "/account/link", self.sign_in_link),
            ("POST", "/datasets", self.upload),
            ("GET", "/datasets", self.list_datasets),
            ("GET", "/datasets/{name}", self.get_dataset),
            ("DELETE", "/datasets/{name}", self.delete_dataset),
            ("GET", "/datasets/{name}/versions", self.dataset_versions),
            ("GET", "/datasets/{name}/versions/{version}", self.dataset_version),
            ("PUT", "/datasets/{name}/versions/{version}/kinds", self.set_kinds),
            ("GET", "/datasets/{name}/versions/{version}/profile", self.profile),
            ("GET", "/datasets/{name}/versions/{version}/report", self.report),
            ("GET", "/datasets/{name}/versions/{version}/rows", self.rows),
            ("GET", "/datasets/{name}/versions/{version}/content", self.download),
            ("GET", "/datasets/{name}/dictionary", self.dictionary),
            ("PUT", "/datasets/{name}/dictionary", self.set_dictionary),
            ("GET", "/algorithms", self.algorithms),
            ("POST", "/trainings", self.train),
            ("POST", "/tunings", self.tune),
            ("GET", "/tasks/{id}/trials", self.trials),
            ("GET", "/models", self.list_models),
            ("GET", "/models/{name}", self.get_model),
            ("DELETE", "/models/{name}", self.delete_model),
            ("GET", "/models/{name}/versions", self.model_versions),
            ("GET", "/models/{name}/versions/{number}", self.model_version),
            ("DELETE", "/models/{name}/versions/{number}", self.delete_version),
            ("GET", "/models/{name}/versions/{number}/export", self.export),
            ("POST", "/models/{name}/versions/{number}/retrain", self.retrain),
            ("GET", "/models/{name}/aliases", self.list_aliases),
            ("PUT", "/models/{name}/aliases/{alias}", self.set_alias),
            ("DELETE", "/models/{name}/aliases/{alias}", self.remove_alias),
            ("POST", "/models/{name}/promote", self.promote),
            ("POST", "/models/{name}/rollback", self.rollback),
            ("GET", "/models/{name}/history", self.history),
            ("GET", "/models/{name}/schema", self.schema),
            ("POST", "/models/{name}/predict", self.predict),
            ("POST", "/models/{name}/what-if", self.what_if),
            ("GET", "/tasks", self.list_tasks),
            ("GET", "/tasks/{id}", self.get_task),
            ("POST", "/tasks/{id}/cancel", self.cancel),
            ("GET", "/tasks/{id}/events", self.follow),
        ]
        return Starlette(routes=[Route(api + path, self._guarded(call), methods=[verb]) for verb, path, call in routes])

    def _guarded(self, call: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            path = request.url.path.removeprefix("/api/v1")
            self.requests.append((request.method, path, dict(request.query_params)))
            self.keys.append(request.headers.get("Idempotency-Key"))
            if self.prepared:
                await request.body()
                return self.prepared.pop(0)
            try:
                if not path.startswith("/health") and request.headers.get("authorization") != f"Bearer {KEY}":
                    raise Refusal(401, "key_unknown", "The API key is not known.")
                answer: Response = await call(request)
            except Refusal as refusal:
                body = {"type": "about:blank", "title": "Refused", "status": refusal.status, "code": refusal.code}
                body |= {"detail": refusal.detail, "problems": refusal.problems}
                answer = JSONResponse(body, refusal.status, media_type="application/problem+json")
            return answer

        return endpoint

    async def ready(self, request: Request) -> Response:
        parts = {"database": "ok", "storage": "The disk is full." if self.degraded else "ok"}
        status = {"status": "degraded" if self.degraded else "ok", "version": "0.1.0", "parts": parts}
        return JSONResponse(status, 503 if self.degraded else 200)

    async def me(self, request: Request) -> Response:
        return JSONResponse({"id": "u1", "name": "ada", "role": "admin"})

    async def sign_in_link(self, request: Request) -> Response:
        link = Link(url=f"{request.base_url}link?token=t0ken", expires_at=NOW)
        return JSONResponse(link.model_dump(mode="json"), 201)

    async def upload(self, request: Request) -> Response:
        content = await request.body()
        query = request.query_params
        name = query.get("name") or str(query["filename"]).rpartition(".")[0]
        digest = hashlib.sha256(content).hexdigest()
        known = next((v for v in self.tables.get(name, []) if v.content_hash == digest), None)
        if known is not None:
            return show(known)
        if not content.strip():
            problems = [{"code": "no_header", "message": "no header was found", "row": 1, "field": "amount"}]
            raise Refusal(422, "dataset_empty", "The file is empty.", problems)
        detail = self._imported(name, query["filename"], content, json.loads(query.get("kinds", "{}")))
        if not self.slow_import:
            return show(detail, 201)
        task = self._task("import", name, {"dataset": name, "version": detail.number, "created": True})
        return JSONResponse(task.model_dump(mode="json"), 202, {"Location": f"/api/v1/tasks/{task.id}"})

    def _imported(self, name: str, filename: str, content: bytes, kinds: dict[str, str]) -> DatasetVersionDetail:
        rows = list(csv.reader(io.StringIO(content.decode())))
        header, cells = rows[0], rows[1:]
        features = [
            Feature(name=column, kind=Kind(kinds.get(column, "category")), reason="because", example="x")
            for column in header
        ]
        number = len(self.tables.get(name, [])) + 1
        digest = hashlib.sha256(content).hexdigest()
        self.content[digest] = content
        detail = DatasetVersionDetail(
            dataset=name,
            number=number,
            content_hash=digest,
            filename=filename,
            size_bytes=len(content),
            row_count=len(cells),
            column_count=len(header),
            created_at=NOW,
            created_by="ada",
            table_schema=FeatureSchema(features=tuple(features)),
            profile=figures(header, cells),
        )
        self.tables.setdefault(name, []).append(detail)
        return detail

    async def list_datasets(self, request: Request) -> Response:
        return paged(request, [self._dataset(name) for name in sorted(self.tables)])

    async def get_dataset(self, request: Request) -> Response:
        return show(self._dataset(self._known(request)))

    async def delete_dataset(self, request: Request) -> Response:
        del self.tables[self._known(request)]
        return Response(status_code=204)

    async def dataset_versions(self, request: Request) -> Response:
        return paged(request, [plain(DatasetVersion, v) for v in self.tables[self._known(request)]])

    async def dataset_version(self, request: Request) -> Response:
        return show(self._table(request))

    async def set_kinds(self, request: Request) -> Response:
        detail = self._table(request)
        kinds = await request.json()
        features = tuple(
            feature.model_copy(update={"kind": Kind(kinds.get(feature.name, feature.kind))})
            for feature in detail.table_schema.features
        )
        versions = self.tables[detail.dataset]
        changed = detail.model_copy(update={"table_schema": FeatureSchema(features=features)})
        versions[detail.number - 1] = changed
        return show(changed)

    async def profile(self, request: Request) -> Response:
        detail, target = self._table(request), request.query_params.get("target")
        if target and target not in detail.table_schema.names:
            raise Refusal(422, "target_unknown", "There is no such column.")
        profile = detail.profile.model_copy(update={"target": target})
        if not self.slow_import:
            return show(profile)
        task = self._task("profile", detail.dataset, profile.model_dump(mode="json"))
        return JSONResponse(task.model_dump(mode="json"), 202)

    async def report(self, request: Request) -> Response:
        detail, key = self._table(request), request.headers["idempotency-key"]
        if self.slow_import and key not in self.reports:
            self.reports.add(key)
            task = self._task("profile", detail.dataset, detail.profile.model_dump(mode="json"))
            return JSONResponse(task.model_dump(mode="json"), 202)
        return Response(f"<h1>{detail.dataset}</h1>", media_type="text/html")

    async def rows(self, request: Request) -> Response:
        detail = self._table(request)
        header, *cells = csv.reader(io.StringIO(self.content[detail.content_hash].decode()))
        limit = int(request.query_params.get("limit", 20))
        return show(Preview(columns=header, rows=cells[:limit], row_count=detail.row_count))  # type: ignore[arg-type]

    async def download(self, request: Request) -> Response:
        return Response(self.content[self._table(request).content_hash])

    async def dictionary(self, request: Request) -> Response:
        return JSONResponse(self.dictionaries.get(self._known(request), {}))

    async def set_dictionary(self, request: Request) -> Response:
        self.dictionaries[self._known(request)] = await request.json()
        return await self.dictionary(request)

    async def algorithms(self, request: Request) -> Response:
        knob = Hyperparameter(
            name="learning_rate", type="number", default=0.05, minimum=0, maximum=1, description="Size of a step"
        )
        found = Algorithm(
            name="lightgbm", title="LightGBM", description="Trees", problems=["binary"], hyperparameters=[knob]
        )  # type: ignore[list-item]
        return JSONResponse({"items": [found.model_dump(mode="json")]})

    async def train(self, request: Request) -> Response:
        try:
            wanted = TrainingRequest.model_validate(await request.json())
        except ValidationError as error:
            raise Refusal(422, "request_invalid", "The request is not valid.") from error
        self.bodies.append(wanted.model_dump(mode="json", exclude_unset=True))
        if wanted.dataset not in self.tables:
            raise Refusal(404, "dataset_not_found", "There is no such dataset.")
        return self._started(wanted, wanted.model or wanted.dataset)

    async def tune(self, request: Request) -> Response:
        wanted = TuningRequest.model_validate(await request.json())
        self.bodies.append(wanted.model_dump(mode="json", exclude_unset=True))
        model = wanted.model or wanted.dataset
        training = TrainingRequest.model_validate(wanted.recipe().model_dump() | {"dataset": wanted.dataset})
        study = Study(
            best_trial=1,
            chosen=[Weight(trial=1, weight=0.75), Weight(trial=0, weight=0.25)],
            estimate=METRICS,
            default_estimate=METRICS[:1],
            searched_rows=3200,
            held_out_rows=800,
            trials=len(TRIALS),
        )
        result = TuningResult(**self._trained(training, model).model_dump(), study=study)
        task = self._task("tune", model, result.model_dump(mode="json"))
        return JSONResponse(task.model_dump(mode="json"), 202, {"Location": f"/api/v1/tasks/{task.id}"})

    async def trials(self, request: Request) -> Response:
        return paged(request, TRIALS)

    async def retrain(self, request: Request) -> Response:
        version = self._version(request)
        wanted = RetrainRequest.model_validate(await request.json())
        self.bodies.append(wanted.model_dump(mode="json", exclude_unset=True))
        recipe = TrainingRequest(dataset=version.dataset, promote=wanted.promote, **version.recipe.model_dump())
        return self._started(recipe, version.model)

    def _started(self, wanted: TrainingRequest, model: str) -> Response:
        if wanted.target == "nothing":
            task = self._task("train", model, None)
            error = {"kind": "invalid_input", "code": "target_constant", "message": "The target has one value."}
            self.tasks[task.id] = task.model_copy(update={"error": error})
        else:
            task = self._task("train", model, self._trained(wanted, model).model_dump(mode="json"))
        return JSONResponse(task.model_dump(mode="json"), 202, {"Location": f"/api/v1/tasks/{task.id}"})

    def _trained(self, wanted: TrainingRequest, model: str) -> TrainingResult:
        detail = trained(model, len(self.models.get(model, [])) + 1, wanted)
        self.models.setdefault(model, []).append(detail)
        if wanted.promote:
            self._move(model, "champion", detail.number, "promote")
        candidate = Candidate(
            algorithm="lightgbm", version=detail.number, hyperparameters={}, metrics=METRICS, seconds=1.5
        )
        return TrainingResult(
            model=model,
            best_version=detail.number,
            promoted=wanted.promote,
            problem=detail.problem,
            primary_metric="roc_auc",
            candidates=[candidate],
            left_out=detail.left_out,
            warnings=["Few rows."],
            row_count=4,
        )

    async def list_models(self, request: Request) -> Response:
        return paged(request, [self._model(name) for name in sorted(self.models)])

    async def get_model(self, request: Request) -> Response:
        return show(self._model(self._named(request)))

    async def delete_model(self, request: Request) -> Response:
        del self.models[self._named(request)]
        return Response(status_code=204)

    async def model_versions(self, request: Request) -> Response:
        return paged(request, [plain(ModelVersion, v) for v in self.models[self._named(request)]])

    async def model_version(self, request: Request) -> Response:
        return show(self._version(request))

    async def delete_version(self, request: Request) -> Response:
        version = self._version(request)
        if version.number in self.aliases.get(version.model, {}).values():
            raise Refusal(409, "version_in_use", "An alias points at it.")
        self.models[version.model].remove(version)
        return Response(status_code=204)

    async def export(self, request: Request) -> Response:
        return Response(b"PK" + str(self._version(request).number).encode(), media_type="application/zip")

    async def list_aliases(self, request: Request) -> Response:
        return JSONResponse(self.aliases.get(self._named(request), {}))

    async def set_alias(self, request: Request) -> Response:
        name = self._named(request)
        return show(self._move(name, request.path_params["alias"], (await request.json())["version"], "set"))

    async def remove_alias(self, request: Request) -> Response:
        self.aliases[self._named(request)].pop(request.path_params["alias"])
        return Response(status_code=204)

    async def promote(self, request: Request) -> Response:
        body = await request.json()
        name = self._named(request)
        if body["version"] not in [version.number for version in self.models[name]]:
            raise Refusal(404, "version_not_found", "There is no such version.")
        return show(self._move(name, body["alias"], body["version"], "promote"))

    async def rollback(self, request: Request) -> Response:
        name, alias = self._named(request), (await request.json())["alias"]
        moves = [event for event in self.events.get(name, []) if event.alias == alias]
        if not moves or moves[0].previous is None:
            raise Refusal(409, "nothing_before", "It never pointed at anything else.")
        return show(self._move(name, alias, moves[0].previous, "rollback"))

    async def history(self, request: Request) -> Response:
        return paged(request, self.events.get(self._named(request), []))

    async def schema(self, request: Request) -> Response:
        self._served(request)
        return show(FEATURES)

    async def predict(self, request: Request) -> Response:
        version, alias = self._served(request)
        body = PredictRequest.model_validate(await request.json())
        if len(body.rows) > MAX_ROWS:
            raise Refusal(413, "too_many_rows", f"At most {MAX_ROWS} rows in a call.")
        found = [scored(row, number) for number, row in enumerate(body.rows, 1)]
        problems = [item for item in found if isinstance(item, dict)]
        if problems and body.on_error == "fail":
            raise Refusal(422, "rows_invalid", f"{len(problems)} rows cannot be read.", problems)
        answers = [None if isinstance(item, dict) else item for item in found]
        if body.explain:
            most = 2 if body.explain is True else body.explain
            answers = [one and explained(one, row, most) for one, row in zip(answers, body.rows, strict=True)]
        return show(
            Predictions(model=version.model, version=version.number, alias=alias, predictions=answers, errors=problems)  # type: ignore[arg-type]
        )

    async def what_if(self, request: Request) -> Response:
        version, alias = self._served(request)
        body = WhatIfRequest.model_validate(await request.json())
        found = [scored(row, at) for at, row in enumerate([body.row, *({**body.row, **v} for v in body.variations)], 1)]
        problems = [item for item in found if isinstance(item, dict)]
        if problems:
            raise Refusal(422, "rows_invalid", f"{len(problems)} rows cannot be read.", problems)
        base, *others = [item for item in found if isinstance(item, Prediction)]
        told = [
            Variation(changed=list(changes), prediction=one, difference=one.probability - base.probability)  # type: ignore[operator]
            for changes, one in zip(body.variations, others, strict=True)
        ]
        answer = WhatIf(model=version.model, version=version.number, alias=alias, base=base, variations=told)
        return show(answer)

    async def list_tasks(self, request: Request) -> Response:
        wanted = request.query_params
        found = [
            task
            for task in reversed(self.tasks.values())
            if wanted.get("state", task.state) == task.state and wanted.get("kind", task.kind) == task.kind
        ]
        return paged(request, found)

    async def get_task(self, request: Request) -> Response:
        return show(self._advanced(self._found(request)))

    async def cancel(self, request: Request) -> Response:
        task = self._found(request).model_copy(update={"state": TaskState.CANCELLED, "cancel_requested": True})
        self.tasks[task.id] = task
        return show(task)

    async def follow(self, request: Request) -> Response:
        task = self._found(request)

        async def events() -> Any:
            latest = task
            yield ": hello\n\n"
            while not latest.state.final:
                latest = self._advanced(latest)
                yield f"event: task\ndata: {latest.model_dump_json()}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    def _task(self, kind: str, subject: str, result: dict[str, Any] | None) -> Task:
        task = Task(
            id=f"t{len(self.tasks) + 1}",
            kind=kind,
            state=TaskState.QUEUED,
            owner="ada",
            subject=subject,
            result=result,
            attempts=0,
            cancel_requested=False,
            created_at=NOW,
        )
        self.tasks[task.id] = task
        return task.model_copy(update={"result": None})

    def _advanced(self, task: Task) -> Task:
        """One step on: queued, three times running, finished. The outcome is kept from the start."""
        kept = self.tasks[task.id]
        if kept.state.final:
            return kept
        fraction = (kept.progress.fraction if kept.progress else 0.0) + 0.25
        progress = Progress(
            fraction=fraction, message="working", stage="train", algorithm="lightgbm", fold=1, folds=5, eta_seconds=3
        )
        done = fraction >= 1 and not self.never_done
        end = TaskState.FAILED if kept.error else TaskState.SUCCEEDED
        update = {"state": end if done else TaskState.RUNNING, "progress": progress if fraction <= 1 else kept.progress}
        self.tasks[task.id] = kept.model_copy(update=update)
        return self.tasks[task.id] if done else self.tasks[task.id].model_copy(update={"result": None, "error": None})

    def _found(self, request: Request) -> Task:
        if request.path_params["id"] not in self.tasks:
            raise Refusal(404, "task_not_found", "There is no such task.")
        return self.tasks[request.path_params["id"]]

    def _known(self, request: Request) -> str:
        if request.path_params["name"] not in self.tables:
            raise Refusal(404, "dataset_not_found", "There is no such dataset.")
        return str(request.path_params["name"])

    def _table(self, request: Request) -> DatasetVersionDetail:
        versions = self.tables[self._known(request)]
        number = request.path_params["version"]
        if number != "latest" and int(number) > len(versions):
            raise Refusal(404, "version_not_found", "There is no such version.")
        return versions[-1 if number == "latest" else int(number) - 1]

    def _dataset(self, name: str) -> Dataset:
        latest = plain(DatasetVersion, self.tables[name][-1])
        return Dataset(
            name=name, owner="ada", created_at=NOW, latest=latest, dictionary=self.dictionaries.get(name, {})
        )

    def _named(self, request: Request) -> str:
        if request.path_params["name"] not in self.models:
            raise Refusal(404, "model_not_found", "There is no such model.")
        return str(request.path_params["name"])

    def _version(self, request: Request) -> ModelVersionDetail:
        number = int(request.path_params["number"])
        found = [version for version in self.models[self._named(request)] if version.number == number]
        if not found:
            raise Refusal(404, "version_not_found", "There is no such version.")
        aliases = [alias for alias, at in self.aliases.get(found[0].model, {}).items() if at == number]
        return found[0].model_copy(update={"aliases": aliases})

    def _served(self, request: Request) -> tuple[ModelVersionDetail, str | None]:
        name, _, reference = request.path_params["name"].partition("@")
        if name not in self.models:
            raise Refusal(404, "model_not_found", "There is no such model.")
        if reference.isdecimal():
            return self.models[name][int(reference) - 1], None
        alias = reference or "champion"
        if alias not in self.aliases.get(name, {}):
            raise Refusal(404, "alias_not_found", "There is no such alias.")
        return self.models[name][self.aliases[name][alias] - 1], alias

    def _model(self, name: str) -> Model:
        aliases = self.aliases.get(name, {})
        champion = plain(ModelVersion, self.models[name][aliases["champion"] - 1]) if "champion" in aliases else None
        count = len(self.models[name])
        return Model(name=name, owner="ada", created_at=NOW, version_count=count, aliases=aliases, champion=champion)

    def _move(self, name: str, alias: str, number: int, action: Any) -> AliasEvent:
        previous = self.aliases.setdefault(name, {}).get(alias)
        self.aliases[name][alias] = number
        event = AliasEvent(alias=alias, previous=previous, number=number, action=action, moved_at=NOW, moved_by="ada")
        self.events.setdefault(name, []).insert(0, event)
        return event


TRIALS = [
    TrialResult(number=0, algorithm="linear", state="done", metric="roc_auc", score=0.7812, seconds=1.5),
    TrialResult(
        number=1, algorithm="lightgbm", state="done", metric="roc_auc", score=0.8125, seconds=2.5, outliers="clip",
        imbalance="balanced", selection=Selection(method="mrmr", keep=0.5), features=["amount"],
    ),
    TrialResult(number=2, algorithm="xgboost", state="pruned", metric="roc_auc", score=0.6, seconds=0.5),
    TrialResult(
        number=3, algorithm="catboost", state="failed", failure=Problem(code="training_failed", message="It failed."),
    ),
]  # fmt: skip


def trained(model: str, number: int, wanted: TrainingRequest) -> ModelVersionDetail:
    recipe = Recipe.model_validate(wanted.model_dump(include=set(Recipe.model_fields)))
    return ModelVersionDetail(
        model=model,
        number=number,
        algorithm="lightgbm",
        problem="binary",  # type: ignore[arg-type]
        target=wanted.target,
        dataset=wanted.dataset,
        dataset_version=wanted.dataset_version or 1,
        aliases=[],
        metrics=METRICS,
        created_at=NOW,
        created_by="ada",
        classes=["paid", "lost"],
        positive_class="lost",
        feature_schema=FEATURES,
        recipe=recipe,
        hyperparameters={},
        left_out=[LeftOut(column="id", reason="It names each row.")],
        runtime="onnx",
        parity={},
        evaluation={
            "importance": [{"feature": "grade", "mean": 0.01}, {"feature": "amount", "mean": 0.08}],
        },
        bundle_hash="0" * 64,
        card="# Card",
    )


def scored(row: dict[str, Any], number: int) -> Prediction | dict[str, Any]:
    """A made-up score, or the problem of the row."""
    unknown = sorted(set(row) - {"amount", "grade"})
    if unknown:
        return {"code": "field_unknown", "message": "no such field", "row": number, "field": unknown[0]}
    try:
        amount = float(row.get("amount") or 0)
    except ValueError:
        return {"code": "field_unreadable", "message": "must be a number", "row": number, "field": "amount"}
    probability = min(1.0, amount / 1000)
    both = {"paid": 1 - probability, "lost": probability}
    return Prediction(value="lost" if probability >= 0.5 else "paid", probability=probability, probabilities=both)


def explained(prediction: Prediction, row: dict[str, Any], most: int) -> Prediction:
    """The prediction with made-up reasons: two, of which ``most`` are told."""
    reasons = [
        Reason(
            feature=name, code=name.upper(), contribution=amount, direction="raises" if amount > 0 else "lowers",
            sentence=f"{name} is {row.get(name)}, which moves the probability of lost.", value=row.get(name),
        )
        for name, amount in (("amount", 0.75), ("grade", -0.25))
    ]  # fmt: skip
    found = Explanation(
        method="contributions", of="lost", unit="log_odds", reasons=reasons[:most], reason_codes=["AMOUNT"],
        base=-1.0, score=-0.5, rest=sum(reason.contribution for reason in reasons[most:]),
        band=Band(
            position=1, bands=2, low=0.0, high=0.5, count=400, observed=0.12, observed_low=0.1, observed_high=0.14,
            new_low=0.08, new_high=0.17,
        ),
        similar=Similar(count=400, low=0.11, high=0.14, observed=0.12, observed_low=0.1, observed_high=0.14),
    )  # fmt: skip
    return prediction.model_copy(update={"explanation": found})


def figures(header: list[str], cells: list[list[str]]) -> TableProfile:
    columns = [
        ColumnProfile(
            name=name,
            kind=Kind.CATEGORY,
            count=len(cells),
            missing=sum(not row[at] for row in cells),
            distinct=len({row[at] for row in cells}),
            top=[TopValue(value=v, count=n) for v, n in Counter(row[at] for row in cells).most_common(3)],
        )
        for at, name in enumerate(header)
    ]
    warning = TableWarning(code="leak", column=header[-1], message="It gives the target away.", exclude=True)
    return TableProfile(row_count=len(cells), columns=columns, warnings=[warning])


def plain(view: Any, value: BaseModel) -> Any:
    return view.model_validate({name: getattr(value, name) for name in view.model_fields})


def show(value: BaseModel, status: int = 200) -> Response:
    return JSONResponse(value.model_dump(mode="json", by_alias=True), status)


def paged(request: Request, items: list[Any]) -> Response:
    """Pages of at most two, so that every list has more than one."""
    start = int(request.query_params.get("after") or 0)
    limit = min(int(request.query_params.get("limit", 50)), 2)
    following = str(start + limit) if start + limit < len(items) else None
    shown = [item.model_dump(mode="json", by_alias=True) for item in items[start : start + limit]]
    return JSONResponse({"items": shown, "next": following})


class Serving:
    """The stand-in on a port of its own, which can be stopped and started again."""

    def __init__(self, standin: Standin) -> None:
        self.standin = standin
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(self.standin.app(), log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()
