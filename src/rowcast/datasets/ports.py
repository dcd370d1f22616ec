"""What datasets and models need of the world: object storage and a way to report progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from pydantic import BaseModel, ConfigDict, Field


class Storage(Protocol):
    """Objects under slash-separated keys. A write is whole or not at all, and durable when the call returns.

    Every method raises ``Unavailable("storage_unavailable")`` when the storage does not answer,
    ``Unavailable("storage_full")`` when there is no space, and ``NotFound("object_not_found")`` for a missing key.
    """

    def put(self, key: str, data: bytes) -> None: ...

    def put_new(self, key: str, data: bytes) -> bool:
        """Store the object unless there is one; whether it was stored. Of several who do so at once one does, and may
        not be told: what is there then says who."""
        ...

    def put_file(self, key: str, path: Path, *, move: bool = False) -> None:
        """Store a local file; with ``move`` the file is gone afterwards."""
        ...

    def read(self, key: str) -> bytes: ...

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """The object's bytes from one place to another, which is not beyond its end."""
        ...

    def open(self, key: str) -> BinaryIO: ...

    def local(self, key: str) -> AbstractContextManager[Path]:
        """A local file to read the object from: itself, or a copy that is gone afterwards."""
        ...

    def local_folder(self, prefix: str) -> AbstractContextManager[Path]:
        """A local folder with everything under ``prefix``: itself, or a copy that is gone afterwards."""
        ...

    def move(self, key: str, new_key: str) -> None:
        """A crash in between may leave the object under both keys, never under none."""
        ...

    def copy(self, key: str, new_key: str) -> None: ...

    def link(self, key: str, filename: str) -> str | None:
        """An address where anyone who has it can fetch the object for some minutes, if that is possible and allowed; as
        a file of that name, of ASCII letters, digits and ``._-``, where the service can be told."""
        ...

    def exists(self, key: str) -> bool: ...

    def size(self, key: str) -> int: ...

    def list(self, prefix: str) -> Iterator[str]:
        """Keys under ``prefix``, sorted."""
        ...

    def delete(self, prefix: str) -> None:
        """Remove the object of that key and everything under it as a folder; nothing there is fine."""
        ...

    def ping(self) -> None:
        """Return when the storage answers, else raise Unavailable."""
        ...


class Progress(BaseModel):
    """How far a long job is: ``fraction`` from 0 to 1, and a line for people."""

    model_config = ConfigDict(frozen=True)

    fraction: float = Field(description="From 0 to 1; never goes back.")
    message: str = Field(description="What is going on, for a person.")
    stage: str = Field(default="", description="What is going on, for a program.")
    algorithm: str | None = Field(default=None, description="The algorithm at work, of a training.")
    fold: int | None = Field(default=None, description="The fold at work, from 1.")
    folds: int | None = Field(default=None, description="How many folds there are.")
    score: float | None = Field(default=None, description="The figure reached so far.")
    fold_scores: dict[str, list[float]] | None = Field(
        default=None, description="Of a training, the figures of the folds that are done, in order, by algorithm."
    )
    eta_seconds: float | None = Field(default=None, description="Seconds left, as far as can be told.")
    trial: dict[str, Any] | None = Field(default=None, description="The trial that ended last, of a search.")


class Report(Protocol):
    """Called by a job as it goes; cheap enough to call often."""

    def __call__(self, progress: Progress) -> None: ...
