"""Storage in a folder of this machine."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from rowcast.adapters.storage.keys import TEMPORARY, missing, parts_of
from rowcast.errors import RowcastError, Unavailable

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NOT_AN_OBJECT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR})


class LocalStorage:
    """Objects as files under ``root``, one folder level per slash of the key.

    An object is written beside its place, synced and renamed, and the folders' entries are synced too: after a crash
    it is there whole or not at all. A key cannot be both an object and the folder of others. What is being written or
    deleted lies in a folder of its own on the same file system, so that a rename is atomic.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._temporary = self._root / TEMPORARY
        with _translated("the storage folder"):
            self._temporary.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with _translated(key), self._draft() as draft:
            draft.write_bytes(data)
            self._publish(draft, path)

    def put_new(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        with _translated(key), self._draft() as draft:
            draft.write_bytes(data)
            _sync_file(draft)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.hardlink_to(draft)
            except FileExistsError:
                return False
            _sync_folder(path.parent)
        return True

    def put_file(self, key: str, path: Path, *, move: bool = False) -> None:
        target = self._path(key)
        with _translated(key):
            if move and self._on_same_device(path):
                self._publish(path, target)
                return
            with self._draft() as draft:
                shutil.copyfile(path, draft)
                self._publish(draft, target)
            if move:
                path.unlink()

    def read(self, key: str) -> bytes:
        path = self._path(key)
        with _translated(key):
            return path.read_bytes()

    def read_range(self, key: str, start: int, end: int) -> bytes:
        with self.open(key) as file, _translated(key):
            file.seek(start)
            return file.read(end - start)

    def open(self, key: str) -> BinaryIO:
        path = self._path(key)
        with _translated(key):
            return path.open("rb")

    @contextmanager
    def local(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        if not path.is_file():
            raise missing(key)
        yield path

    @contextmanager
    def local_folder(self, prefix: str) -> Iterator[Path]:
        path = self._path(prefix)
        if not any(self._files(path)):
            raise missing(prefix)
        yield path

    def move(self, key: str, new_key: str) -> None:
        source, target = self._path(key), self._path(new_key)
        if not source.is_file():
            raise missing(key)
        with _translated(new_key):
            self._publish(source, target)

    def copy(self, key: str, new_key: str) -> None:
        source, target = self._path(key), self._path(new_key)
        if not source.is_file():
            raise missing(key)
        with _translated(new_key), self._draft() as draft:
            shutil.copyfile(source, draft)
            self._publish(draft, target)

    def link(self, key: str, filename: str) -> str | None:
        return None

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def size(self, key: str) -> int:
        path = self._path(key)
        if not path.is_file():
            raise missing(key)
        with _translated(key):
            return path.stat().st_size

    def list(self, prefix: str) -> Iterator[str]:
        path = self._path(prefix) if prefix.strip("/") else self._root
        keys = [path] if path.is_file() else self._files(path)
        yield from sorted(found.relative_to(self._root).as_posix() for found in keys)

    def delete(self, prefix: str) -> None:
        # Renamed away first: a reader sees all of it or nothing, and a crash leaves only a leftover to clean.
        path, grave = self._path(prefix), self._temporary / uuid4().hex
        with _translated(prefix):
            try:
                path.rename(grave)
            except (FileNotFoundError, NotADirectoryError):
                return
            _sync_folder(path.parent)
            if grave.is_dir():
                shutil.rmtree(grave, ignore_errors=True)
            else:
                grave.unlink(missing_ok=True)

    def ping(self) -> None:
        with _translated("the storage folder"):
            space = os.statvfs(self._root)
        if not os.access(self._root, os.W_OK | os.X_OK):
            raise Unavailable("storage_unavailable", "The storage folder cannot be written to; check its permissions.")
        if space.f_bavail == 0:
            raise _full()

    def remove_leftovers(self, older_than_seconds: float = 0) -> None:
        """Clean up what writers that were killed left half-written. Nobody may be writing unless an age is given."""
        oldest = time.time() - older_than_seconds
        with _translated("the storage folder"):
            for leftover in self._temporary.iterdir():
                if leftover.lstat().st_mtime > oldest:
                    continue
                if leftover.is_dir():
                    shutil.rmtree(leftover, ignore_errors=True)
                else:
                    leftover.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._root.joinpath(*parts_of(key))

    def _files(self, folder: Path) -> Iterator[Path]:
        for parent, folders, names in os.walk(folder):
            if Path(parent) == self._root:
                folders.remove(TEMPORARY)
            yield from (Path(parent, name) for name in names)

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """A path for a file in the making, which is gone afterwards unless it was published."""
        draft = self._temporary / uuid4().hex
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def _publish(self, draft: Path, target: Path) -> None:
        """Make a written file the object of ``target``: durable when this returns."""
        _sync_file(draft)
        parents = list(_missing_parents(target))
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(target)
        for folder in {draft.parent, target.parent, *(parent.parent for parent in parents)}:
            _sync_folder(folder)

    def _on_same_device(self, path: Path) -> bool:
        return path.stat().st_dev == self._root.stat().st_dev


def _missing_parents(path: Path) -> Iterator[Path]:
    """The folders above a path that do not exist yet, nearest first."""
    return takewhile(lambda parent: not parent.exists(), path.parents)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Errors of the operating system as errors of ours."""
    try:
        yield
    except OSError as error:
        raise _translate(error, what) from error


def _translate(error: OSError, what: str) -> RowcastError:
    if error.errno in _NO_SPACE:
        return _full()
    if error.errno in _NOT_AN_OBJECT:
        return missing(what)
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return Unavailable("storage_unavailable", f"The storage folder does not work ({reason}); see the server's log.")


def _full() -> Unavailable:
    return Unavailable("storage_full", "The disk of the storage folder is full. Free some space, then try again.")
