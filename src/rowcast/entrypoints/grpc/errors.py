"""Errors as statuses of gRPC, with their details as google.rpc has them: for programs, beside the words for people."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details
from google.rpc.status_pb2 import Status

from rowcast import errors
from rowcast.entrypoints.wording import in_a_sentence
from rowcast.errors import RowcastError

STATUS: dict[type[RowcastError], grpc.StatusCode] = {
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.PaymentRequired: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.Conflict: grpc.StatusCode.ABORTED,
    errors.TooLarge: grpc.StatusCode.INVALID_ARGUMENT,
    errors.TooMany: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.TimedOut: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Cancelled: grpc.StatusCode.CANCELLED,
    errors.Internal: grpc.StatusCode.INTERNAL,
}
RETRY_SECONDS = 2
"""How long a client waits before it tries again, where it is worth trying and the error does not say."""

DOMAIN = "rowcast"
MOST_BYTES = 3000
"""Of the places at fault: they travel in a header, for which clients have room for 8 kB."""

log = logging.getLogger(__name__)


Trailing = tuple[tuple[str, str | bytes], ...]


class Ending(NamedTuple):
    """How a call ends that is not answered: ``trailing`` has the error's details, and when to come again."""

    status: grpc.StatusCode
    details: str
    trailing: Trailing


@contextmanager
def translated(context: grpc.ServicerContext, method: str) -> Iterator[None]:
    """End the call with the status of what is raised."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  (the last to see it)
        refuse(context, ending(error, method))


def refuse(context: grpc.ServicerContext, end: Ending) -> NoReturn:
    """End the call so."""
    context.set_trailing_metadata(end.trailing)
    context.abort(end.status, end.details)


def ending(error: Exception, method: str) -> Ending:
    """What becomes of a call to the method that raised this; faults of ours are logged."""
    if not isinstance(error, RowcastError):
        log.error("unexpected %s for %s", type(error).__name__, method)
        error = errors.Internal("internal_error", "Something went wrong on our side; the server's log says where.")
    elif isinstance(error, errors.Internal):
        log.error("internal error %s at %s", error.code, method)
    status = STATUS[type(error)]
    trailing: list[tuple[str, str | bytes]] = [
        ("rowcast-error-code", error.code),
        ("grpc-status-details-bin", _status(error, status).SerializeToString()),
    ]
    if error.retryable:
        trailing.append(("grpc-retry-pushback-ms", str(_retry_seconds(error) * 1000)))  # gRFC A6
    return Ending(status, sentence(error), tuple(trailing))


def _retry_seconds(error: RowcastError) -> int:
    return int(error.details.get("retry_after", RETRY_SECONDS))


def _status(error: RowcastError, status: grpc.StatusCode) -> Status:
    made = Status(code=status.value[0], message=sentence(error))
    parts: list[Message] = [details.ErrorInfo(reason=error.code, domain=DOMAIN)]
    if error.problems:
        parts.append(_bad_request(error.problems))
    if error.retryable:
        parts.append(details.RetryInfo(retry_delay=Duration(seconds=_retry_seconds(error))))
    for part in parts:
        made.details.add().Pack(part)
    return made


def _bad_request(problems: Sequence[errors.Problem]) -> details.BadRequest:
    """The first problems, as many as there is room for."""
    made = details.BadRequest()
    for problem in problems:
        violation = _violation(problem)
        if made.ByteSize() + violation.ByteSize() > MOST_BYTES:
            break
        made.field_violations.append(violation)
    return made


def _violation(problem: errors.Problem) -> details.BadRequest.FieldViolation:
    """The field by its path: of a row as ``rows[0].name``, counted from 0 as such paths are."""
    row = [] if problem.row is None else [f"rows[{problem.row - 1}]"]
    field = ".".join([*row, *([] if problem.field is None else [problem.field])])
    return details.BadRequest.FieldViolation(field=field, description=problem.message, reason=problem.code)


def sentence(error: RowcastError) -> str:
    """What went wrong, with the first places at fault."""
    return in_a_sentence(error.code, error.message, error.problems)
