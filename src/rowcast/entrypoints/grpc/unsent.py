"""Messages that are waited for by the threads that answer calls: for a while, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic
from typing import Any

import grpc

from rowcast.entrypoints.grpc.loop import over
from rowcast.errors import InvalidInput

MESSAGE_SECONDS = 20.0
"""How long a call may take to bring its message."""

CROWDED_SECONDS = 1.0
"""The same while there are as many calls as are taken: no caller keeps the others out by bringing none."""

SWEEP_SECONDS = 1.0


def patience(*, crowded: bool) -> float:
    """Seconds that a call has to bring its message."""
    return CROWDED_SECONDS if crowded else MESSAGE_SECONDS


class Unsent:
    """Calls whose message has not come; ``most`` are a crowd. ``sweep`` once on an event loop begins to end those that
    are late."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._since: dict[grpc.ServicerContext, float] = {}

    def one(self, sent: Iterator[Any], context: grpc.ServicerContext) -> Any:
        """The only message of a call.

        Raises:
            InvalidInput: there is none.
            TimedOut, Cancelled: the call ended before it came.
        """
        self._since[context] = monotonic()
        try:
            return next(sent)
        except StopIteration:
            raise InvalidInput("request_invalid", "This method takes one message.") from None
        except grpc.RpcError:
            raise over(context) from None
        finally:
            del self._since[context]

    def sweep(self) -> None:
        """End the calls that are late, now and then."""
        asyncio.get_running_loop().call_later(SWEEP_SECONDS, self.sweep)
        late = monotonic() - patience(crowded=len(self._since) >= self._most)
        for context, since in self._since.copy().items():
            if since < late:
                context.cancel()
