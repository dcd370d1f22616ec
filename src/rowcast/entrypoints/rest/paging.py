"""Pages of a list: items and the cursor that fetches the next ones."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

Item = TypeVar("Item")

Limit = Annotated[int, Query(ge=1, le=500, description="Most items in the answer.")]
After = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]


class Page(BaseModel, Generic[Item]):
    """A part of a list, and where it goes on."""

    items: list[Item] = Field(description="The page, in the order the operation names.")
    next: str | None = Field(
        default=None, description="Pass it as `after` to get the page that follows; null at the end."
    )
