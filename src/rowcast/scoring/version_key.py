"""What names a model version and its bundle, for whoever loads models: this knows no database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VersionKey:
    """Which version of which model it is, and where its bundle lies."""

    id: str
    model: str
    number: int
    bundle_key: str
    bundle_hash: str
