"""Answering for a task: wait a while for its end, then the result, its error, or 202 with where to look."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import msgspec
from anyio import to_thread
from fastapi import Depends, Header, HTTPException, Query, Request, Response
from pydantic import BaseModel

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.rest.browsers import Headers
from rowcast.entrypoints.rest.problems import Responses
from rowcast.entrypoints.services import Services
from rowcast.errors import Cancelled, InvalidInput, PaymentRequired, Problem, RowcastError
from rowcast.tasks.admission import Once
from rowcast.tasks.desk import SubmittedBefore
from rowcast.tasks.intake import Submitted
from rowcast.tasks.views import Task, TaskState

API = "/api/v1"
ENDED: Responses = {200: {"model": Task, "description": "The task has ended."}}
LONGEST_WAIT = 60.0

Wait = Annotated[
    float, Query(ge=0, le=60, description="Seconds to wait for the result before answering 202 with the task.")
]
_KEY = "^[ -~]{1,200}$"


async def _single(
    request: Request,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=_KEY,
            description="A name of your own for this call. Made again under it, it answers with the same.",
        ),
    ] = None,
) -> str | None:
    if len(set(request.headers.getlist("idempotency-key"))) > 1:
        raise _two_keys()
    return idempotency_key


def _two_keys() -> HTTPException:
    return HTTPException(400, "This call has two different Idempotency-Key headers: send one.")


IdempotencyKey = Annotated[str | None, Depends(_single)]

_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?:[;,]|$)", re.IGNORECASE)


async def _preferred(
    prefer: Annotated[
        str | None,
        Header(
            description="`wait=20` waits up to 20 seconds, 60 at most, for the end of the task. Anything else is "
            "ignored (RFC 7240); `Preference-Applied` says what was heeded.",
            examples=["wait=20"],
        ),
    ] = None,
) -> float | None:
    return preferred_wait(prefer or "")


PreferredWait = Annotated[float | None, Depends(_preferred)]
"""Seconds that the caller prefers to wait (RFC 7240); None when they do not say."""


def preferred_wait(prefer: str) -> float | None:
    """Seconds of ``wait`` in a Prefer header; what cannot be read or is not meant for us is no preference."""
    found = _WAIT.search(prefer)
    return min(float(found[1]), LONGEST_WAIT) if found else None


def once_of(key: str | None, operation: str, *asked: object) -> Once | None:
    """One call under an idempotency key, when it has one; ``asked`` is all that it asks for."""
    if key is None:
        return None
    return Once.of(key, operation.encode(), *(_written(part) for part in asked))


def _written(part: object) -> bytes:
    if isinstance(part, BaseModel):
        # Without defaults, so that servers of two releases know a call again when only one of them has some new field.
        return part.model_dump_json(exclude_defaults=True).encode()
    return msgspec.json.encode(part)


def wishes(headers: Headers) -> tuple[str | None, float | None]:
    """The idempotency key and the preferred wait in headers as they were sent, for those who read them themselves.

    Raises:
        InvalidInput: the key is none.
        HTTPException: there are two of them.
    """
    wait = next((preferred_wait(value.decode("latin-1")) for name, value in headers if name == b"prefer"), None)
    return key_in(headers), wait


def key_in(headers: Headers) -> str | None:
    """The idempotency key alone: see ``wishes``."""
    keys = {value for name, value in headers if name == b"idempotency-key"}
    if not keys:
        return None
    if len(keys) > 1:
        raise _two_keys()
    key = keys.pop().decode("latin-1")
    if not re.match(_KEY, key):
        field = "idempotency-key"
        problem = Problem(code="field_invalid", message="It is 1 to 200 visible characters of ASCII.", field=field)
        raise InvalidInput("request_invalid", f"The request is not of the documented form at {field}.", [problem])
    return key


async def current(services: Services, principal: Principal, task_id: str) -> Task:
    """The task as its row says now.

    Raises:
        NotFound: there is none, or it is someone else's.
    """
    return await services.lookups.get(principal, task_id)


def follow(services: Services, principal: Principal, task_id: str, seconds: float) -> AsyncIterator[Task]:
    """The task now and after each of its changes, until it ends or ``seconds`` have passed."""
    return services.notices.follow(task_id, lambda: current(services, principal, task_id), timeout=seconds)


async def changed(services: Services, principal: Principal, task_id: str, seconds: float) -> Task:
    """The task at its next change; as it is when it has ended, or after ``seconds``."""
    first: Task | None = None
    async for task in follow(services, principal, task_id, seconds):
        if first is not None:
            return task
        first = task
    assert first is not None
    return first


async def settled(services: Services, principal: Principal, task_id: str, seconds: float) -> Task:
    """The task once it has ended well, or as it is after ``seconds``.

    Raises:
        RowcastError: the task failed or was cancelled; its own error.
    """
    task = [task async for task in follow(services, principal, task_id, seconds)][-1]
    if task.state is TaskState.CANCELLED:
        raise Cancelled("task_cancelled", "The task was cancelled before it was done.")
    if task.state is TaskState.FAILED and task.error is not None:
        raise RowcastError.from_dict(task.error)
    return task


async def ended(services: Services, principal: Principal, task: Task, seconds: float | None, seen: int = 0) -> Task:
    """The task once it has ended, however that was, or as it is after ``seconds``; see ``Notices.ended``."""
    if not seconds or task.state.final:
        return task
    return await services.notices.ended(task, seen, lambda: current(services, principal, task.id), timeout=seconds)


async def submitted(submit: Callable[[], Task]) -> Submitted:
    """What became of a submission to the desk."""
    try:
        return Submitted(await to_thread.run_sync(submit), before=False)
    except SubmittedBefore as earlier:
        return Submitted(earlier.task, before=True)


async def answer(
    services: Services, principal: Principal, made: Submitted, seconds: float | None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body for a submission: 202 with the task, or 200 when it has ended, which is waited for.

    Raises:
        PaymentRequired: there were no credits for it; the task is on record as rejected.
    """
    if made.task.state is TaskState.REJECTED and made.task.error is not None:
        error = RowcastError.from_dict(made.task.error)
        raise PaymentRequired(error.code, error.message, headers=_headers(made.task, None, before=made.before))
    seen = services.notices.seen(made.task.id) if made.before else 0
    task = await ended(services, principal, made.task, seconds, seen)
    status = 200 if task.state.final else 202
    return status, _headers(task, seconds, before=made.before), task.model_dump_json().encode()


async def answered(services: Services, principal: Principal, made: Submitted, seconds: float | None) -> Response:
    """The same as a response of the framework's."""
    status, headers, content = await answer(services, principal, made, seconds)
    return Response(content, status, headers, "application/json")


def accepted(task: Task, *, before: bool = False) -> Response:
    """202: the work goes on; ``Location`` is where to look."""
    return Response(task.model_dump_json(), 202, _headers(task, None, before=before), "application/json")


def _headers(task: Task, seconds: float | None, *, before: bool) -> dict[str, str]:
    return {"Location": f"{API}/tasks/{task.id}", **_said(seconds, before=before)}


def say(response: Response, seconds: float | None, *, before: bool) -> None:
    """Put into an answer what was waited for, and whether the work was asked for before."""
    response.headers.update(_said(seconds, before=before))


def _said(seconds: float | None, *, before: bool) -> dict[str, str]:
    headers = {} if seconds is None else {"Preference-Applied": f"wait={seconds:g}"}
    return headers | replayed(before=before)


def replayed(*, before: bool) -> dict[str, str]:
    """What says that an earlier call under the same key did the work."""
    return {"Idempotency-Replayed": "true"} if before else {}
