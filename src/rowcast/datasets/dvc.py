"""Tables in DVC: a remote in the storage, where a file lies under its MD5, and the ``.dvc`` files that name it.

The remote belongs to those who work with DVC. What is put there is a copy and what is taken from there is copied, so
that nothing they do to it, such as ``dvc gc``, touches a dataset; and nothing in it is ever deleted from here, because
which repositories still name it cannot be known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import closing
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, Field

from rowcast.datasets.objects import source_key
from rowcast.datasets.ports import Storage
from rowcast.datasets.schema import Kind
from rowcast.datasets.texts import FreeText
from rowcast.errors import Conflict, InvalidInput, NotFound

REMOTE = "dvc"
"""The folder of the storage that is the remote."""

SUFFIX = ".dvc"

_BLOCK_BYTES = 2**20


class DvcFile(BaseModel):
    """A file as DVC tracks it: what its ``.dvc`` file says."""

    path: str = Field(
        min_length=1,
        max_length=255,
        description="Name of the file, which is beside its `.dvc` file.",
        examples=["loans.csv"],
    )
    md5: str = Field(
        pattern="^[0-9a-f]{32}$", description="MD5 of the file.", examples=["1f3870be274f6c49b3e31a0c6728957f"]
    )
    size: int | None = Field(default=None, ge=0, description="Its size in bytes, where it is known.")


class DvcTable(DvcFile):
    """A file that was pushed with DVC and is to become a version of a dataset."""

    name: str | None = Field(default=None, description="Name of the dataset; that of the file by default.")
    description: FreeText | None = Field(
        default=None, max_length=10_000, description="What the table is, in words. Kept when it is left out."
    )
    kinds: dict[str, Kind] = Field(default_factory=dict, description="Kinds of columns, instead of guesses.")


class DvcRemote(BaseModel):
    """Where a repository pushes to and pulls from."""

    url: str = Field(description="Address of the remote: s3://bucket/prefix, or a folder of the server's machine.")
    endpoint: str = Field(default="", description="Address of the S3 service; empty is that of AWS.")
    region: str = Field(default="", description="Region of the S3 service.")


def remote_at(storage_url: str, options: Mapping[str, str]) -> DvcRemote:
    """The remote in the storage at that address, as those who work with DVC reach it."""
    address = urlsplit(storage_url)
    if address.scheme == "file":
        return DvcRemote(url=f"{unquote(address.path).rstrip('/')}/{REMOTE}")
    endpoint = options["public_endpoint"] or options["endpoint"]
    return DvcRemote(url=f"{storage_url.rstrip('/')}/{REMOTE}", endpoint=endpoint, region=options["region"])


def object_key(md5: str) -> str:
    """Where DVC keeps the file of that MD5."""
    return f"{REMOTE}/files/md5/{md5[:2]}/{md5[2:]}"


def push(storage: Storage, content_hash: str, filename: str) -> DvcFile:
    """Put a table on the remote, as it was uploaded, unless it is there."""
    source = source_key(content_hash)
    size, (md5,) = storage.size(source), _digests(storage, source, "md5")
    key = object_key(md5)
    if not storage.exists(key) or storage.size(key) != size:
        storage.copy(source, key)
    return DvcFile(path=filename, md5=md5, size=size)


def fetch(storage: Storage, file: DvcFile, key: str) -> str:
    """Copy a file of the remote to another key; its SHA-256. When it fails, nothing is there.

    Raises:
        NotFound: nobody has pushed it.
        Conflict: it is not what its name says.
    """
    try:
        storage.copy(object_key(file.md5), key)
    except NotFound:
        message = "The remote has no such file. Push it with `dvc push`, to the remote that `rowcast dvc init` sets up."
        raise NotFound("dvc_file_not_found", message) from None
    # The copy is what is read, for nobody else writes there.
    md5, content_hash = _digests(storage, key, "md5", "sha256")
    if md5 != file.md5:
        storage.delete(key)
        message = "The file on the remote is not the one that was pushed: it is damaged. Push it again."
        raise Conflict("dvc_file_damaged", message)
    return content_hash


def written(file: DvcFile) -> str:
    """The content of the ``.dvc`` file."""
    import yaml

    content = {"outs": [{"md5": file.md5, "size": file.size, "hash": "md5", "path": file.path}]}
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def read(text: str) -> DvcFile:
    """What a ``.dvc`` file names.

    Raises:
        InvalidInput: it is none, or names something else than one file.
    """
    out = _only_output(text)
    md5, path = out.get("md5"), out.get("path")
    if out.get("hash") != "md5":
        message = "It was written by DVC before version 3. Run `dvc cache migrate --dvc-files` and `dvc push` first."
        raise InvalidInput("dvc_file_unreadable", message)
    if isinstance(md5, str) and md5.endswith(".dir"):
        raise InvalidInput("dvc_file_unreadable", "It names a folder. Track the table with a .dvc file of its own.")
    try:
        return DvcFile(path=PurePath(str(path)).name, md5=str(md5), size=out.get("size"))
    except ValueError:
        raise _unreadable() from None


def _only_output(text: str) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        raise _unreadable() from None
    outs = content.get("outs") if isinstance(content, dict) else None
    if not isinstance(outs, list) or len(outs) != 1 or not isinstance(outs[0], dict):
        raise _unreadable()
    return outs[0]


def _unreadable() -> InvalidInput:
    message = "It is not a .dvc file of one table, as `dvc add` writes it."
    return InvalidInput("dvc_file_unreadable", message)


def _digests(storage: Storage, key: str, *algorithms: str) -> list[str]:
    """Hashes of an object, read once. MD5 is DVC's name for a file; nothing here relies on it."""
    hashes = [hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms]
    with closing(storage.open(key)) as file:
        while block := file.read(_BLOCK_BYTES):
            for each in hashes:
                each.update(block)
    return [each.hexdigest() for each in hashes]
