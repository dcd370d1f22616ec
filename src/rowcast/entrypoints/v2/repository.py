"""The models that there are: the model repository extension. Versions are made by training, so to load one is to have
it in memory, and to unload it is to let that memory go until the next call."""

from __future__ import annotations

from typing import Any

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.services import Services
from rowcast.errors import RowcastError, Unavailable

READY, UNAVAILABLE = "READY", "UNAVAILABLE"


def is_ready(services: Services) -> bool:
    """Whether every part answers that a prediction needs."""
    try:
        services.database.ping()
    except RowcastError:
        return False
    return True


def is_loaded(services: Services, principal: Principal, name: str, version: str = "") -> bool:
    """Whether the model answers without being loaded first; loads it unless that was asked against.

    Raises:
        NotFound: there is none that the caller may see.
    """
    try:
        services.catalog.get(principal, f"{name}@{version}" if version else name)
    except Unavailable:
        return False
    return True


def versions(services: Services, principal: Principal, name: str) -> list[int]:
    """The numbers of a model's versions."""
    return [version.number for version, _ in services.catalog.listed(principal) if version.model == name]


def index(services: Services, principal: Principal, *, only_ready: bool = False) -> list[dict[str, Any]]:
    """All versions of all models that the caller may see, or only those that are in memory."""
    return [
        {
            "name": version.model,
            "version": str(version.number),
            "state": READY if loaded else UNAVAILABLE,
            "reason": "" if loaded else "not in memory; the next call loads it",
        }
        for version, loaded in services.catalog.listed(principal)
        if loaded or not only_ready
    ]


def load(services: Services, principal: Principal, name: str) -> None:
    """Have the version that serves in memory.

    Raises:
        NotFound: there is no such model that the caller may see.
        Unavailable: it does not open.
    """
    services.catalog.get(principal, name)


def unload(services: Services, principal: Principal, name: str) -> None:
    """Let the memory of all its versions go.

    Raises:
        NotFound: there is no such model that the caller may see.
        Forbidden: it is someone else's.
    """
    services.catalog.let_go(principal, name)
