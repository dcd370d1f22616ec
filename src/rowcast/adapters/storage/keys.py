"""What a key of the storage is, on every adapter, and the errors that all of them raise."""

from __future__ import annotations

from rowcast.errors import InvalidInput, NotFound

TEMPORARY = ".tmp"
"""A name that no part of a key has: an adapter may keep there what is being written or deleted."""


def parts_of(key: str) -> list[str]:
    """The names that a key is made of.

    Raises:
        InvalidInput: the key is no clean relative path.
    """
    parts = key.rstrip("/").split("/")
    if any(part in ("", ".", "..", TEMPORARY) or "\\" in part or not part.isprintable() for part in parts):
        raise InvalidInput("storage_key_invalid", "A storage key is a relative path of plain, non-empty names.")
    return parts


def missing(key: str) -> NotFound:
    return NotFound("object_not_found", f"There is no stored object {key}; it may have been deleted.")
