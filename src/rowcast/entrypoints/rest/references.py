"""Path parameters that name things, with their forms."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from rowcast.errors import InvalidInput

Name = Annotated[str, Path(max_length=100, description="Its name.", examples=["sba_loans"])]
VersionNumber = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the version.", examples=[1])]
ModelReference = Annotated[
    str,
    Path(
        max_length=200,
        description="A model's name, alone for its champion, or with `@alias` or `@number`: `loans@3`.",
        examples=["sba_loans"],
    ),
]
TaskId = Annotated[
    str,
    Path(pattern=r"^[0-9a-f]{32}$", description="`id` of the task, as the operation that started it answered."),
]
TableVersion = Annotated[
    str, Path(pattern=r"^(latest|[1-9][0-9]{0,8})$", description="A number, or `latest`.", examples=["latest"])
]

WRITABLE = r"^[^\x00-\x1f\x7f]*$"
"""Text without signs that no name has, and that a database does not take."""


def version_number(text: str) -> int | None:
    """The number that a TableVersion names; None is the newest."""
    return None if text == "latest" else int(text)


def whole_name(text: str) -> str:
    """The text as a plain name, for operations that do not take a version behind '@'."""
    if "@" in text:
        raise InvalidInput("reference_not_allowed", "Name the model alone here, without '@' and an alias or version.")
    return text
