"""What names a model version and its bundle, for whoever loads models: this knows no database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VersionKey:
    """Which version of which model it is, where its bundle lies, and what it was trained on, where that is known."""

    id: str
    model: str
    number: int
    bundle_key: str
    bundle_hash: str
    dataset_version_id: str | None = None
