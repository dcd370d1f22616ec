"""The OpenAPI document, made fit to read: names for people and client generators, examples that work when sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from rowcast.entrypoints.rest import predictions, problems, tasks

Document = dict[str, Any]

DESCRIPTION = """Train, version, explain and serve models of your own tables.

1. A browser that is signed in needs nothing more. Programs send an API key (`rc_...`): make one with `POST /keys`. The
   first start printed one too; it is in `credentials.json` in the data folder.
2. Add a table with `POST /datasets`, train on it with `POST /trainings`, and follow the task that it answers with
   `GET /tasks/{task_id}`.
3. Predict with `POST /models/{reference}/predict`.

The examples are about the table that `rowcast demo` loads, so they work as they stand after it.
Every error has the form of RFC 9457 with a stable `code`."""

TAGS = (
    ("datasets", "Tables: add, look at, correct, describe. The same bytes are the same version."),
    ("training", "Learn from a table. A training is a task: it answers at once and goes on in the background."),
    ("models", "What trainings made: versions, their figures, and which of them serves."),
    ("policies", "What is made of predictions: green, yellow or red, and what a case earns."),
    ("predictions", "Ask a model for one row or thousands."),
    ("monitoring", "What a model was asked and how that differs from what it learned from."),
    ("credits", "What predictions cost, what you have, and what became of it."),
    ("tasks", "Work in the background: how far it is, its result, stopping it."),
    ("accounts", "Who may do what: people and their API keys."),
    ("storage", "What the storage holds, held against the database."),
    ("licence", "What a licensed installation may do, and a statement of what was used."),
    ("health", "Whether the server is there and can work, and who is asking."),
)
"""In the order in which a reader needs them; one that no operation has is not listed."""

ERRORS = {
    401: ("key_missing", "An API key is needed: send it as 'Authorization: Bearer rc_...' or 'X-API-Key: rc_...'."),
    402: (
        "credits_missing",
        "This costs 20 credits and you have 3. Ask an administrator for a top-up.",
    ),
    403: ("role_required", "This key may not do that. Use one that may, or ask an administrator for it."),
    404: ("model_not_found", "There is no model of this name. List the models to see their names."),
    408: ("request_timeout", "The rest of the request did not arrive."),
    409: ("version_in_use", "An alias points at this version. Point it at another one first."),
    413: ("body_too_large", "The request is larger than the server takes."),
    422: ("request_invalid", "The request is not of the documented form at rows."),
    429: (
        "too_many_queued",
        "10,000 tasks of yours wait for a worker, which is the most. Try again when some are done.",
    ),
    503: ("database_unavailable", "A part of the server does not answer. Try again in a moment."),
}
"""An example of each error status."""


def operation_id(route: APIRoute) -> str:
    """The name of an operation: that of its function, unique in the document and readable in generated clients."""
    return route.name


def build(app: FastAPI) -> Document:
    """The document of the application's operations."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        license_info=app.license_info,
    )
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    problems.describe(document)
    predictions.describe(document)
    tasks.describe(document)
    document = _renamed(document)
    document["tags"] = _tags(document)
    for operation in _operations(document):
        operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
        _fill_in(operation)
        _show_errors(operation)
    return document


def _operations(document: Document) -> Iterator[Document]:
    for operations in document["paths"].values():
        yield from operations.values()


def _tags(document: Document) -> list[dict[str, str]]:
    used = {tag for operation in _operations(document) for tag in operation.get("tags", ())}
    return [{"name": name, "description": description} for name, description in TAGS if name in used]


def _fill_in(operation: Document) -> None:
    """Examples of parameters where Swagger looks for what to put into its form."""
    for parameter in operation.get("parameters", ()):
        examples = parameter.get("schema", {}).pop("examples", None)
        if examples:
            parameter["example"] = examples[0]


def _show_errors(operation: Document) -> None:
    """Each error with an example of its own status, in place of the one example of the form."""
    for status, response in operation["responses"].items():
        body = response.get("content", {}).get("application/problem+json")
        if body is None or int(status) not in ERRORS:
            continue
        code, detail = ERRORS[int(status)]
        title = HTTPStatus(int(status)).phrase
        body["example"] = {"type": "about:blank", "title": title, "status": int(status), "detail": detail, "code": code}


def _renamed(document: Document) -> Document:
    """The same with schemas named as a person would, instead of after modules and type parameters."""
    names = {old: _plain(old) for old in document["components"]["schemas"]}
    text = json.dumps(document)
    for old, new in names.items():
        text = text.replace(f'"#/components/schemas/{old}"', f'"#/components/schemas/{new}"')
    renamed: Document = json.loads(text)
    schemas = renamed["components"]["schemas"]
    renamed["components"]["schemas"] = {names[old]: schema for old, schema in sorted(schemas.items())}
    return renamed


def _plain(name: str) -> str:
    """``Page_Model_`` is a ModelPage; what is predicted and a fault share the name Problem in the code, not here."""
    if match := re.fullmatch(r"Page_(\w+)_", name):
        return f"{match[1]}Page"
    if name == "rowcast__errors__Problem":
        return "Problem"
    if name in ("rowcast__models__recipe__Problem", "Problem-Input", "Problem-Output"):
        return "ProblemKind"
    return name
