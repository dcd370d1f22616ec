"""Datasets on REST: reading is for everyone, changing a table for analysts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter, ValidationError

from rowcast.accounts.principal import Principal
from rowcast.datasets import catalogue, dictionary
from rowcast.datasets.objects import preview_key, source_key
from rowcast.datasets.ports import Storage
from rowcast.datasets.schema import Kind
from rowcast.datasets.texts import FreeText
from rowcast.datasets.views import Dataset, DatasetVersion, DatasetVersionDetail, Preview, TableProfile
from rowcast.entrypoints.rest import outcome
from rowcast.entrypoints.rest.bodies import JsonRoute
from rowcast.entrypoints.rest.outcome import IdempotencyKey, PreferredWait, Wait
from rowcast.entrypoints.rest.paging import After, Limit, Page
from rowcast.entrypoints.rest.problems import Responses, documented
from rowcast.entrypoints.rest.references import Name, TableVersion, version_number
from rowcast.entrypoints.rest.security import Analyst, Anyone, Wired
from rowcast.entrypoints.rest.uploads import Upload, attachment, plain_name, receive, table_limits
from rowcast.entrypoints.services import Services
from rowcast.errors import InvalidInput, RowcastError
from rowcast.tables import new_id
from rowcast.tasks import imports
from rowcast.tasks.admission import Once
from rowcast.tasks.desk import SubmittedBefore
from rowcast.tasks.intake import Submitted
from rowcast.tasks.views import Task, TaskState

router = APIRouter(prefix="/datasets", tags=["datasets"], route_class=JsonRoute)

Kinds = Annotated[
    dict[str, Kind], Body(description="Kinds by column; the others stay as they are.", examples=[{"Zip": "category"}])
]

FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The table itself, or a form with it as the part `file`.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", "description": "A CSV or Parquet file."}
                    },
                }
            },
            "text/csv": {"schema": {"type": "string"}, "example": "age,income,paid\n31,42000,yes\n58,18000,no\n"},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
DICTIONARY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {
                "schema": {"type": "object", "additionalProperties": {"type": "string"}},
                "example": {"City": "City of the borrower"},
            }
            for kind in ("application/json", "application/yaml")
        },
    }
}
ELSEWHERE = {"description": "The file is large, and to be fetched at `Location`: only where the server is set so."}
FILE_ANSWER: Responses = {
    200: {"content": {"application/octet-stream": {}}, "description": "The bytes as they were uploaded."},
    307: ELSEWHERE,
}
SAME: Responses = {200: {"model": DatasetVersionDetail, "description": "These very bytes were there already."}}
TASK: Responses = {202: {"model": Task, "description": "Still at it: follow the task at `Location`."}}


@router.post(
    "",
    status_code=201,
    response_model=DatasetVersionDetail,
    openapi_extra=FILE_BODY,
    responses=TASK | SAME | documented(401, 403, 408, 409, 413, 422, 429, 503),
)
async def add_table(
    request: Request,
    response: Response,
    services: Wired,
    principal: Analyst,
    name: Annotated[str | None, Query(description="Name of the dataset; that of the file by default.")] = None,
    filename: Annotated[
        str | None,
        Query(
            max_length=255,
            description="Name of the file, when the body is the table itself instead of a form.",
            examples=["people.csv"],
        ),
    ] = None,
    description: Annotated[
        FreeText | None, Query(max_length=10_000, description="What the table is, in words. Kept when it is left out.")
    ] = None,
    kinds: Annotated[str, Query(description='Kinds of columns as JSON: `{"zip": "category"}`.')] = "{}",
    wait: Wait = 30,
    idempotency_key: IdempotencyKey = None,
    preferred_wait: PreferredWait = None,
) -> Any:
    """Add a CSV or Parquet file as a new version of a dataset.

    Delimiter, encoding, decimal mark and the kind of every column are found out; the answer says what was taken for
    what and why, with the table's profile and what to know before training on it.
    """
    overrides = _kinds(kinds)
    limits = services.settings
    async with receive(request, services.incoming, limits.max_upload_bytes) as upload:
        file = plain_name(upload.filename or filename or "")
        called = name or name_from(file)
        asked = (called, file, description, overrides)
        once = outcome.once_of(idempotency_key, "add_table", upload.content_hash, *asked)
        store = partial(_store, services.storage, upload)
        made = await outcome.submitted(partial(start_import, services, principal, store, *asked, once))
    return await imported(response, services, principal, made, wait, preferred_wait)


async def imported(
    response: Response,
    services: Services,
    principal: Principal,
    made: Submitted,
    wait: float,
    preferred_wait: float | None,
) -> Any:
    """The version that an import made, or its task when that takes longer than the caller waits."""
    task = await outcome.settled(services, principal, made.task.id, wait if preferred_wait is None else preferred_wait)
    if task.state is not TaskState.SUCCEEDED or task.result is None:
        return outcome.accepted(task, before=made.before)
    response.status_code = 201 if task.result["created"] else 200
    outcome.say(response, preferred_wait, before=made.before)
    return await to_thread.run_sync(_version, services, principal, task.result["dataset"], task.result["version"])


def _kinds(text: str) -> dict[str, Kind]:
    try:
        return TypeAdapter(dict[str, Kind]).validate_json(text)
    except ValidationError as error:
        allowed = ", ".join(Kind)
        raise InvalidInput(
            "kinds_invalid",
            f'\'kinds\' is a JSON object from column to kind, such as {{"zip": "category"}}; kinds are {allowed}.',
        ) from error


def name_from(filename: str) -> str:
    """A dataset's name from a file's: its stem with everything that may not stand in a name turned into '_'."""
    stem = filename.split(".")[0]
    cleaned = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "_.-") else "_" for sign in stem).strip(
        "_.-"
    )
    if not cleaned:
        raise InvalidInput("name_missing", "Say how the dataset is called: ?name=...")
    return cleaned[:100]


def _store(storage: Storage, upload: Upload, key: str) -> str:
    storage.put_file(key, upload.path, move=True)
    return upload.content_hash


def start_import(
    services: Services,
    principal: Principal,
    store: Callable[[str], str],
    name: str,
    filename: str,
    description: str | None,
    kinds: dict[str, Kind],
    once: Once | None,
) -> Task:
    """Have a table imported; ``store`` puts its bytes at a key of the storage and returns their SHA-256."""
    with services.database.reading() as session:
        catalogue.check_may_add(session, principal, name)
    task_id = new_id()
    try:
        return services.desk.submit_import(
            principal,
            once=once,
            task_id=task_id,
            name=name,
            description=description,
            filename=filename or name,
            content_hash=store(imports.upload_key(task_id)),
            kinds=kinds,
            limits=table_limits(services.settings),
        )
    except (RowcastError, SubmittedBefore):
        services.storage.delete(imports.upload_key(task_id))
        raise


def _version(services: Services, principal: Principal, name: str, number: int | None) -> DatasetVersionDetail:
    with services.database.reading() as session:
        return catalogue.version_view(session, principal, name, number)


@router.get("", responses=documented(401, 422))
def list_datasets(services: Wired, principal: Anyone, limit: Limit = 50, after: After = None) -> Page[Dataset]:
    """Datasets by name, each with its newest version."""
    with services.database.reading() as session:
        items, following = catalogue.list_datasets(session, principal, limit=limit, after=after)
    return Page(items=items, next=following)


@router.get("/{name}", responses=documented(401, 404))
def get_dataset(services: Wired, principal: Anyone, name: Name) -> Dataset:
    """A dataset with its newest version."""
    with services.database.reading() as session:
        return catalogue.dataset_view(session, principal, name)


@router.delete("/{name}", status_code=204, responses=documented(401, 403, 404))
def delete_dataset(services: Wired, principal: Analyst, name: Name) -> None:
    """Remove a dataset and its files. Models trained on it stay: they keep what they need."""
    with services.database.transaction() as session:
        hashes = catalogue.delete_dataset(session, principal, name)
    for content_hash in hashes:
        imports.delete_unused_content(services.database, services.storage, content_hash)


@router.get("/{name}/versions", responses=documented(401, 404, 422))
def list_dataset_versions(
    services: Wired, principal: Anyone, name: Name, limit: Limit = 50, after: After = None
) -> Page[DatasetVersion]:
    """Versions of a dataset, newest first."""
    with services.database.reading() as session:
        items, following = catalogue.list_versions(session, principal, name, limit=limit, after=after)
    return Page(items=items, next=following)


@router.get("/{name}/versions/{version}", responses=documented(401, 404, 422))
def get_dataset_version(services: Wired, principal: Anyone, name: Name, version: TableVersion) -> DatasetVersionDetail:
    """A version with its schema, its profile and what to know before training on it."""
    return _version(services, principal, name, version_number(version))


@router.put(
    "/{name}/versions/{version}/kinds",
    response_model=DatasetVersionDetail,
    responses=TASK | documented(401, 403, 404, 409, 422, 429, 503),
)
async def correct_kinds(
    response: Response,
    services: Wired,
    principal: Analyst,
    name: Name,
    version: TableVersion,
    kinds: Kinds,
    wait: Wait = 30,
    idempotency_key: IdempotencyKey = None,
    preferred_wait: PreferredWait = None,
) -> Any:
    """Correct the kinds of columns that were guessed wrong; the table is read again that way."""

    number = version_number(version)
    once = outcome.once_of(idempotency_key, "correct_kinds", name, version, kinds)
    made = await outcome.submitted(
        partial(
            services.desk.submit_kinds,
            principal,
            once=once,
            dataset=name,
            number=number,
            kinds=dict(kinds),
            limits=table_limits(services.settings),
        )
    )
    task = await outcome.settled(services, principal, made.task.id, wait if preferred_wait is None else preferred_wait)
    if task.state is not TaskState.SUCCEEDED:
        return outcome.accepted(task, before=made.before)
    outcome.say(response, preferred_wait, before=made.before)
    return await to_thread.run_sync(_version, services, principal, name, number)


@router.get(
    "/{name}/versions/{version}/profile",
    response_model=TableProfile,
    responses=TASK | documented(401, 404, 409, 422, 429, 503),
)
async def get_table_profile(
    response: Response,
    services: Wired,
    principal: Anyone,
    name: Name,
    version: TableVersion,
    target: Annotated[
        str | None,
        Query(description="The column to be predicted, to see what goes with it.", examples=["MIS_Status"]),
    ] = None,
    wait: Wait = 30,
    idempotency_key: IdempotencyKey = None,
    preferred_wait: PreferredWait = None,
) -> Any:
    """The table in figures; with a target also how well each column alone predicts it, and likely leaks."""
    if target is None:
        return (await to_thread.run_sync(_version, services, principal, name, version_number(version))).profile

    number = version_number(version)
    once = outcome.once_of(idempotency_key, "get_table_profile", name, version, target)
    made = await outcome.submitted(
        partial(services.desk.submit_profile, principal, once=once, dataset=name, number=number, target=target)
    )
    task = await outcome.settled(services, principal, made.task.id, wait if preferred_wait is None else preferred_wait)
    if task.state is not TaskState.SUCCEEDED:
        return outcome.accepted(task, before=made.before)
    outcome.say(response, preferred_wait, before=made.before)
    return task.result


@router.get("/{name}/versions/{version}/rows", responses=documented(401, 404, 422, 503))
def preview_rows(
    services: Wired,
    principal: Anyone,
    name: Name,
    version: TableVersion,
    limit: Annotated[int, Query(ge=1, le=100, description="Most rows in the answer.")] = 20,
) -> Preview:
    """The first rows of the table as they were written."""
    with services.database.reading() as session:
        _, row = catalogue.find_version(session, principal, name, version_number(version))
    found = Preview.model_validate_json(services.storage.read(preview_key(row.content_hash)))
    return found.model_copy(update={"rows": found.rows[:limit]})


@router.get("/{name}/dictionary", responses=documented(401, 404))
def get_dictionary(services: Wired, principal: Anyone, name: Name) -> dict[str, str]:
    """What each column means."""
    with services.database.reading() as session:
        return dictionary.get_dictionary(session, principal, name)


@router.put(
    "/{name}/dictionary",
    response_model=dict[str, str],
    openapi_extra=DICTIONARY_BODY,
    responses=documented(401, 403, 404, 413, 422),
)
async def replace_dictionary(request: Request, services: Wired, principal: Analyst, name: Name) -> Any:
    """Say what the columns mean, as JSON or YAML; columns that are not named lose their description."""
    descriptions = dictionary.parse_yaml(await request.body())

    def write() -> dict[str, str]:
        with services.database.transaction() as session:
            return dictionary.replace_dictionary(session, principal, name, descriptions)

    return await to_thread.run_sync(write)


@router.patch(
    "/{name}/dictionary",
    response_model=dict[str, str],
    openapi_extra=DICTIONARY_BODY,
    responses=documented(401, 403, 404, 413, 422),
)
async def merge_dictionary(request: Request, services: Wired, principal: Analyst, name: Name) -> Any:
    """Say what some columns mean; the others keep their description, an empty one is taken away."""
    descriptions = dictionary.parse_yaml(await request.body())

    def write() -> dict[str, str]:
        with services.database.transaction() as session:
            return dictionary.merge_dictionary(session, principal, name, descriptions)

    return await to_thread.run_sync(write)


@router.get(
    "/{name}/versions/{version}/content",
    response_class=StreamingResponse,
    responses=FILE_ANSWER | documented(401, 404, 503),
)
def download_table(services: Wired, principal: Anyone, name: Name, version: TableVersion) -> StreamingResponse:
    """The file as it was uploaded."""
    with services.database.reading() as session:
        _, row = catalogue.find_version(session, principal, name, version_number(version))
        key, filename = source_key(row.content_hash), row.filename
    return attachment(services.storage, key, filename)
