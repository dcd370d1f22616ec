"""Where a table's files are in the storage, by the SHA-256 of its uploaded bytes."""

from __future__ import annotations


def folder_key(content_hash: str) -> str:
    """The folder of everything that belongs to a table."""
    return f"datasets/{content_hash}"


def source_key(content_hash: str) -> str:
    """The bytes as they were uploaded."""
    return f"{folder_key(content_hash)}/source"


def table_key(content_hash: str) -> str:
    """The table in columns, every cell as it was written."""
    return f"{folder_key(content_hash)}/table.parquet"


def preview_key(content_hash: str) -> str:
    """The first rows, as ``views.Preview`` in JSON."""
    return f"{folder_key(content_hash)}/preview.json"
