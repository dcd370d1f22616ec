"""Predictions for whole files on REST: a file in, a task to follow, two files out."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from rowcast.accounts.principal import Principal
from rowcast.datasets.reading.counting import most_rows
from rowcast.entrypoints.rest import outcome
from rowcast.entrypoints.rest.datasets import ELSEWHERE, FILE_BODY
from rowcast.entrypoints.rest.outcome import ENDED, IdempotencyKey, PreferredWait, once_of
from rowcast.entrypoints.rest.problems import Responses, documented
from rowcast.entrypoints.rest.references import ModelReference, Name, TableVersion, TaskId, version_number
from rowcast.entrypoints.rest.security import Anyone, Predictor, Wired
from rowcast.entrypoints.rest.uploads import Upload, attachment, plain_name, receive, table_limits
from rowcast.entrypoints.services import Services
from rowcast.errors import NotFound, RowcastError
from rowcast.identifiers import new_timed_id
from rowcast.models.references import resolve
from rowcast.tasks import imports
from rowcast.tasks.admission import Once
from rowcast.tasks.desk import SubmittedBefore
from rowcast.tasks.file_predictions import stored_file
from rowcast.tasks.views import Task

router = APIRouter(tags=["predictions"])

FILE_PATH_END = "/predict/file"
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
FILE_ANSWER: Responses = {
    200: {
        "content": {"text/csv": {}, "application/vnd.apache.parquet": {}},
        "description": "The file, as an attachment.",
    },
    307: ELSEWHERE,
}
Output = Annotated[
    Literal["csv", "parquet"] | None, Query(description="Format of the answer; that of the file by default.")
]
Columns = Annotated[
    list[str] | None,
    Query(description="Columns of the file that stand beside the predictions; all of them by default. Repeatable."),
]


@router.post(
    f"/models/{{reference}}{FILE_PATH_END}",
    status_code=202,
    response_model=Task,
    openapi_extra=FILE_BODY,
    responses=ENDED | documented(401, 402, 404, 408, 409, 413, 422, 429, 503),
)
async def predict_file(
    request: Request,
    services: Wired,
    principal: Predictor,
    reference: ModelReference,
    filename: Annotated[
        str | None,
        Query(
            max_length=255,
            description="Name of the file, when the body is the table itself instead of a form.",
            examples=["people.csv"],
        ),
    ] = None,
    output: Output = None,
    columns: Columns = None,
    idempotency_key: IdempotencyKey = None,
    wait: PreferredWait = None,
) -> Response:
    """Predict for every row of a CSV or Parquet file of any size, in the background.

    The answer is a task to follow at `Location`. Once it succeeded, `GET /tasks/{task_id}/files/predictions` has the
    rows with their predictions and `GET /tasks/{task_id}/files/errors` says what is wrong with rows that have none.
    The version and the policy are those of now, whatever is promoted meanwhile.
    """
    async with receive(request, services.incoming, services.settings.max_upload_bytes) as upload:
        name = plain_name(upload.filename or filename or "") or "file"
        once = once_of(idempotency_key, "predict_file", reference, upload.content_hash, name, output, columns)
        asked = _asked(services, output, columns)
        made = await outcome.submitted(partial(_start, services, principal, reference, upload, name, once, asked))
    return await outcome.answered(services, principal, made, wait)


@router.post(
    "/models/{reference}/predict/dataset/{name}/{version}",
    status_code=202,
    response_model=Task,
    responses=ENDED | documented(401, 402, 404, 409, 422, 429, 503),
)
async def predict_dataset(
    services: Wired,
    principal: Predictor,
    reference: ModelReference,
    name: Name,
    version: TableVersion,
    output: Output = None,
    columns: Columns = None,
    idempotency_key: IdempotencyKey = None,
    wait: PreferredWait = None,
) -> Response:
    """Predict for every row of a table that is here already; otherwise as for a file."""
    submit = partial(
        services.desk.submit_dataset,
        principal,
        reference,
        once=once_of(idempotency_key, "predict_dataset", reference, name, version, output, columns),
        task_id=new_timed_id(),
        dataset=name,
        number=version_number(version),
        **_asked(services, output, columns),
    )
    return await outcome.answered(services, principal, await outcome.submitted(submit), wait)


@router.get(
    "/tasks/{task_id}/files/{which}",
    response_class=StreamingResponse,
    responses=FILE_ANSWER | documented(401, 404, 409, 503),
)
def download_file(
    services: Wired,
    principal: Anyone,
    task_id: TaskId,
    which: Annotated[
        Literal["predictions", "errors"],
        Path(
            description="The rows with their predictions, or what is wrong with those that have none, as CSV.",
            examples=["predictions"],
        ),
    ],
) -> StreamingResponse:
    """A file that a task made. It is deleted some days after: the server's setting file_days says how many."""
    key, filename = stored_file(services.desk.get(principal, task_id), which)
    try:
        return attachment(services.storage, key, filename, MEDIA_TYPES[filename.rpartition(".")[2]])
    except NotFound as error:
        message = "The file has been deleted, as files are some days after the task ended. Predict for it again."
        raise NotFound("file_deleted", message) from error


def _asked(services: Services, output: str | None, columns: list[str] | None) -> dict[str, Any]:
    limits = table_limits(services.settings)
    return {"output": output, "columns": columns, "limits": limits, "tariff": services.tariff}


def _start(
    services: Services,
    principal: Principal,
    reference: str,
    upload: Upload,
    filename: str,
    once: Once | None,
    asked: dict[str, Any],
) -> Task:
    with services.database.reading() as session:
        resolve(session, principal, reference)
    task_id, content_hash = new_timed_id(), upload.content_hash
    rows = most_rows(upload.path) if services.tariff.paid or principal.limits else None
    services.storage.put_file(imports.upload_key(task_id), upload.path, move=True)
    details = {"task_id": task_id, "filename": filename, "content_hash": content_hash, "rows": rows, **asked}
    try:
        return services.desk.submit_file(principal, reference, once=once, **details)
    except (RowcastError, SubmittedBefore):
        services.storage.delete(imports.upload_key(task_id))
        raise
