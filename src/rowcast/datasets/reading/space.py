"""A full disk, told apart from faults in what was uploaded."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from rowcast.errors import Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def disk_full_is_unavailable() -> Iterator[None]:
    """Raise Unavailable ``storage_full`` for a write that found no space, in Python's terms or in those of polars."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if getattr(error, "errno", None) in _FULL or "No space left" in str(error) or "os error 28" in str(error):
            raise Unavailable("storage_full", "There is no space left on the disk. Free some and try again.") from error
        raise
