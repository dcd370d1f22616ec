"""The data folder: the places of processes in it, and the secrets that it keeps."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import mkdtemp

from rowcast.errors import InvalidInput

INCOMING, SCRATCH, PLACES = "incoming", "scratch", "places"
"""Folders: uploads on their way to the storage, temporary files of child processes, and the places of processes that
share a data folder with others."""


def emptied(place: Path) -> Path:
    """The folder, for a process that is the only one to use it: without what a killed one left in it."""
    for name in (INCOMING, SCRATCH):
        shutil.rmtree(place / name, ignore_errors=True)
        (place / name).mkdir(parents=True, exist_ok=True)
    return place


def place_of_its_own(folder: Path, stack: ExitStack) -> Path:
    """A new folder in the data folder that others use too. It goes when this process ends; those of processes that
    were killed go now, for nobody holds their lock."""
    places = folder / PLACES
    places.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (places / "lock").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for other in places.iterdir():
            _remove_if_left(other)
        place = Path(mkdtemp(prefix=f"{os.getpid()}-", dir=places))
        held = stack.enter_context((place / "lock").open("a"))
        fcntl.flock(held, fcntl.LOCK_EX)
    stack.callback(shutil.rmtree, place, ignore_errors=True)
    return emptied(place)


def _remove_if_left(place: Path) -> None:
    if not place.is_dir():
        return
    with suppress(BlockingIOError), (place / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(place, ignore_errors=True)


def content_of(path: Path) -> bytes:
    """What is in a file that the settings name.

    Raises:
        InvalidInput: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput("file_unreadable", f"{path} cannot be read: {error.strerror}.") from None


def secret_in(path: Path, make: Callable[[], bytes]) -> bytes:
    """The secret in that file, which is made when there is none; of several who make it the first wins."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        with suppress(FileExistsError):
            draft.touch(0o600)
            draft.write_bytes(make())
            os.link(draft, path)
        draft.unlink(missing_ok=True)
    return path.read_bytes()
