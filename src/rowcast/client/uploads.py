"""Files on their way to the server and back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rowcast.datasets.ports import Progress
from rowcast.errors import InvalidInput

CHUNK_BYTES = 1 << 20

Source = str | os.PathLike[str] | BinaryIO
OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Upload:
    """An open file with the name it goes by. ``size`` is None when it cannot be known, as of a pipe."""

    file: BinaryIO
    filename: str
    start: int
    size: int | None

    @property
    def headers(self) -> dict[str, str]:
        length = {} if self.size is None else {"Content-Length": str(self.size)}
        return {"Content-Type": "application/octet-stream", **length}

    def sent(self, count: int) -> Progress:
        """How far the upload is when ``count`` bytes have left."""
        if self.size is None:
            return Progress(fraction=0.0, message=f"{megabytes(count)} uploaded", stage="upload")
        fraction = count / self.size if self.size else 1.0
        return Progress(
            fraction=min(1.0, fraction), message=f"{megabytes(count)} of {megabytes(self.size)}", stage="upload"
        )


@contextmanager
def opened(source: Source, filename: str | None) -> Iterator[Upload]:
    """The file behind a path, or an open binary file from where it stands; closed again only if opened here.

    Raises:
        InvalidInput: there is no such file, it may not be read, or it gives text instead of bytes.
    """
    if not isinstance(source, str | os.PathLike):
        yield _upload(source, filename or Path(str(getattr(source, "name", "table.csv"))).name)
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 - closed below; the error of opening must stay apart from others
    except OSError as error:
        raise InvalidInput("file_unreadable", f"{os.fspath(source)}: {error.strerror}.") from None
    with file:
        yield _upload(file, filename or Path(source).name)


@contextmanager
def saved(path: Path) -> Iterator[BinaryIO]:
    """A file to write a download to; it takes its name when all is there, and is gone when anything fails."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            yield file
        draft.replace(path)
    except OSError as error:
        raise InvalidInput("file_not_writable", f"{path}: {error.strerror}.") from None
    finally:
        draft.unlink(missing_ok=True)


def megabytes(count: int) -> str:
    """A count of bytes for a person."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"


def _upload(file: BinaryIO, filename: str) -> Upload:
    if not isinstance(file.read(0), bytes):
        raise InvalidInput("file_not_binary", "Open the file in binary mode: open(path, 'rb').")
    if not file.seekable():
        return Upload(file, filename, 0, None)
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    return Upload(file, filename, start, size)
