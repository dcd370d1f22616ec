"""The large columns of a receipt, packed where that pays.

Writing costs more than packing from some kilobytes on: 1,000 rows of 20 columns take 0.8 ms to pack, in the thread that
scored, and an eighth of the time to write and of the disk, while everyone else waits for the database's only writer.
"""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

import msgspec

from rowcast.datasets.columns import MARK, Columns

PACK_FROM_BYTES = 8 * 1024

_LEVEL = 1
_PACKED = b"\x28\xb5\x2f\xfd"
"""How Zstandard begins (RFC 8878); JSON never does."""


def packed(content: bytes) -> bytes:
    return zstd.compress(content, level=_LEVEL) if len(content) >= PACK_FROM_BYTES else content


def unpacked(stored: bytes) -> bytes:
    """The JSON that was packed, or that was too small to be; of a request that is kept by the column, what it is with
    rows."""
    content = zstd.decompress(stored) if stored.startswith(_PACKED) else stored
    return as_rows(content) if content.startswith(MARK) else content


def as_rows(written: bytes) -> bytes:
    """The JSON of the call that has these columns."""
    return msgspec.json.encode({"rows": list(Columns.from_bytes(written))})
