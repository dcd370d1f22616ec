"""Ids of receipts and transfers: 32 hexadecimal digits, twelve of the millisecond, three of the part of it, and the
others random.

So they are in the order of time by their primary key alone, a new one goes to the end of the index, and an id cannot be
guessed: 68 bits of it are random.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

_EARLIEST, _LATEST = 0, 2**48 - 1


def new_timed_id() -> str:
    return new_timed_ids(1)[0]


def new_timed_ids(count: int) -> list[str]:
    """So many of one moment, in their order; what is random is drawn for all at once."""
    moment = f"{(time.time_ns() << 12) // 1_000_000:015x}"
    drawn = os.urandom(9 * count).hex()
    return sorted([f"{moment}{drawn[start + 1 : start + 18]}" for start in range(0, 18 * count, 18)])


def moment_of(timed_id: str) -> datetime:
    """When it was made, to the millisecond."""
    seconds, milliseconds = divmod(int(timed_id[:12], 16), 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=milliseconds * 1000)


def first_id_at(moment: datetime) -> str:
    """What every id from this moment on is not less than, and every earlier one is."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    milliseconds = -int(-aware.timestamp() * 1000 // 1)
    return f"{min(max(milliseconds, _EARLIEST), _LATEST):012x}{'0' * 20}"
