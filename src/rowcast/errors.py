"""Errors that every door can translate.

A class says what kind of thing went wrong (a door maps it to its own status); ``code`` is the stable name that a
program may rely on; ``message`` tells a person what happened and what to do next. Neither ever holds a submitted
value, so an error may be logged as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """One fault in what was sent: where it is and what would be right."""

    model_config = ConfigDict(frozen=True)

    code: str = Field(description="Stable name of the fault.")
    message: str = Field(description="What is wrong and what would be right.")
    row: int | None = Field(default=None, description="The row at fault, counted from 1.")
    field: str | None = Field(default=None, description="The column or field at fault.")

    def told(self) -> str:
        """``row 3, amount: is no number.``, or as much of it as is known."""
        place = [f"row {self.row}"] if self.row is not None else []
        place += [self.field] if self.field else []
        return f"{', '.join(place)}: {self.message}" if place else self.message


SHOWN_PROBLEMS = 20
"""So many are told to a person; a program has them all."""


class RowcastError(Exception):
    """The root: ``code`` for programs, ``message`` for people, ``problems`` for the places at fault."""

    kind: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, code: str, message: str, problems: Iterable[Problem] = (), **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.problems = tuple(problems)
        self.details = details

    def __str__(self) -> str:
        """What happened, then a line for each place at fault that the message does not tell of already."""
        shown = self.problems[:SHOWN_PROBLEMS]
        untold = [problem for problem in shown if problem.row is not None or problem.message not in self.message]
        lines = [self.message, *(f"  {problem.told()}" for problem in untold)]
        if (more := len(self.problems) - SHOWN_PROBLEMS) > 0:
            lines.append(f"  and {more} more")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The error as JSON-ready data: what a task keeps and a child process sends to its parent."""
        return {
            "kind": self.kind,
            "code": self.code,
            "message": self.message,
            "problems": [problem.model_dump(exclude_none=True) for problem in self.problems],
            "details": self.details,
        }

    @staticmethod
    def from_dict(data: dict[str, Any]) -> RowcastError:
        """The error that ``to_dict`` described, as the class of its kind."""
        problems = [Problem.model_validate(problem) for problem in data.get("problems", ())]
        kind = KINDS.get(data.get("kind", ""), Internal)
        return kind(data["code"], data["message"], problems, **data.get("details", {}))


class InvalidInput(RowcastError):
    """What was sent cannot be accepted as it is."""

    kind = "invalid_input"


class Unauthenticated(RowcastError):
    """Nobody known is calling."""

    kind = "unauthenticated"


class Forbidden(RowcastError):
    """The caller is known and may not do this."""

    kind = "forbidden"


class PaymentRequired(RowcastError):
    """The caller has no credits for it, or may spend no more."""

    kind = "payment_required"


class NotFound(RowcastError):
    """There is no such thing, or none that the caller may see."""

    kind = "not_found"


class Conflict(RowcastError):
    """It contradicts the present state; the message says what to change first."""

    kind = "conflict"


class TooLarge(RowcastError):
    """It exceeds a limit of size."""

    kind = "too_large"


class TooMany(RowcastError):
    """The caller has asked for more than their share; the same call may succeed later."""

    kind = "too_many"
    retryable = True


class TimedOut(RowcastError):
    """It exceeded a limit of time."""

    kind = "timed_out"


class Unavailable(RowcastError):
    """A part that is needed does not answer now; the same call may succeed later."""

    kind = "unavailable"
    retryable = True


class Cancelled(RowcastError):
    """The caller asked for it to stop."""

    kind = "cancelled"


class Internal(RowcastError):
    """A fault of ours. The message never carries the exception's text, which may hold data."""

    kind = "internal"


_REQUEST: tuple[type[RowcastError], ...] = (
    InvalidInput,
    Unauthenticated,
    PaymentRequired,
    Forbidden,
    NotFound,
    Conflict,
    TooLarge,
    TooMany,
)
_SERVER: tuple[type[RowcastError], ...] = (TimedOut, Unavailable, Cancelled, Internal)

KINDS: dict[str, type[RowcastError]] = {cls.kind: cls for cls in (*_REQUEST, *_SERVER)}
"""Every kind of error there is: what a door's table of statuses has to cover."""
