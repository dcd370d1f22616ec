"""Calls of one message answered without a thread for each, by the library's own events.

The library gives a call a thread and lets it wait there for its message, which costs more than the answer does. Here
the message goes from the thread that has the library's events to the event loop: calls that came together are run
together and put on record together, as over HTTP.

What that takes has no public name in the library, though its own server is made of it (``grpc/_server.py``). Where a
release is otherwise the threads answer these methods too, by the same functions.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

import grpc
from anyio import to_thread
from google.protobuf.message import DecodeError, Message

from rowcast.accounts.audit import caller_address
from rowcast.accounts.principal import Principal
from rowcast.entrypoints.grpc.calls import address_of, idempotency_key_in, key_of, too_many
from rowcast.entrypoints.grpc.errors import Trailing, ending
from rowcast.entrypoints.grpc.loop import Loop
from rowcast.entrypoints.grpc.unsent import SWEEP_SECONDS, patience
from rowcast.entrypoints.rest.security import Rule
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.v2.together import Caller
from rowcast.errors import InvalidInput, RowcastError, TimedOut

try:
    from grpc._cython import cygrpc  # type: ignore[attr-defined]
except ImportError:  # another release
    cygrpc = None

AT_ONCE = 8
"""Calls of a method that the library may hand over before it is asked for more."""

MOST_BYTES = 512 * 2**20
"""Of the messages of the calls that are being answered."""

_NO_FLAGS = 0

Event = Any
"""``cygrpc.RequestCallEvent`` or ``BatchOperationEvent``."""

Handled = tuple[None, tuple[()]]
Tag = Callable[[Event], Handled]
_HANDLED: Handled = (None, ())
"""What the library wants to hear of an event that is none of its own calls'."""

log = logging.getLogger(__name__)


class Unary(NamedTuple):
    """How a method is answered: whom it admits, what it is asked by, and what answers the caller, given such a message
    and the idempotency key. Without a rule that is anyone, and the caller is None."""

    rule: Rule | None
    asked: type[Message]
    answer: Callable[[Any, Any, str | None], Awaitable[Message]]
    take: Callable[[Principal, Any, Caller[bytes]], bool] | None = None
    """Has calls without an idempotency key answered together; False for one that is not like most."""

    def read(self, sent: bytes | None) -> Message:
        """The message of a call.

        Raises:
            InvalidInput: there is none, or it is another.
        """
        try:
            if sent is not None:
                return self.asked.FromString(sent)
        except DecodeError:
            pass
        raise InvalidInput("request_invalid", f"This method takes one message, of the form {self.asked.__name__}.")


class Direct:
    """Answers ``methods``, by their paths, on ``loop``. ``attach`` it before the server starts, ``open`` it after.

    Nobody's message is taken before it is known that the caller may call, and none is waited for for long.
    """

    def __init__(self, services: Services, loop: Loop, methods: Mapping[str, Unary], most_calls: int) -> None:
        self._services = services
        self._loop = loop
        self._methods = methods
        self._most_calls = most_calls
        self._calls = self._bytes = 0
        self._waiting: dict[_Call, float] = {}
        self._arrived: deque[_Call] = deque()
        self._queue: Any = None
        self._server: Any = None

    def attach(self, server: grpc.Server) -> bool:
        """Take the methods over; False where the library has not what that needs."""
        try:
            _ = cygrpc.ReceiveMessageOperation, cygrpc.SendStatusFromServerOperation
            state: Any = server._state  # type: ignore[attr-defined]
            self._queue, self._server = state.completion_queue, state.server
            for path in self._methods:
                self._server.register_method(path)
        except AttributeError:
            log.warning("This release of grpcio is not known here: its threads answer all calls.")
            return False
        return True

    def open(self) -> None:
        """Begin to take calls."""
        self._loop.soon(self._sweep)
        for path in self._methods:
            called = _guarded(partial(self._called, path))
            for _ in range(AT_ONCE):
                self._take(path, called)

    def _take(self, path: str, called: Tag) -> None:
        """Ask for a call."""
        self._server.request_registered_call(self._queue, self._queue, path, called)

    def _called(self, path: str, event: Event) -> None:
        if not event.success:  # the server stops
            return
        call = _Call(event, path)
        call.start(cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS), tag=_guarded(partial(self._closed, call)))
        self._calls += 1
        try:
            self._admit(call)
        except Exception as error:  # noqa: BLE001  (the last to see it)
            call.refuse(error)
        with suppress(ValueError):  # the server stops: it answers the calls that it has
            self._take(path, event.tag)

    def _admit(self, call: _Call) -> None:
        """Ask for the message of a caller who may call."""
        if self._calls > self._most_calls or self._bytes > MOST_BYTES:
            raise too_many()
        rule = self._methods[call.path].rule
        principal = None
        if rule is not None:
            call.key = key_of(call.metadata)
            principal = self._services.keyring.remembered(call.key)
        self._waiting[call] = monotonic()
        if rule is not None and principal is None:
            self._loop.soon(partial(self._admit_soon, call))
        else:
            self._ask(call, principal)

    def _admit_soon(self, call: _Call) -> None:
        if not call.over:
            call.task = asyncio.create_task(self._admit_unknown(call))

    async def _admit_unknown(self, call: _Call) -> None:
        """The same for a caller who was not seen of late."""
        try:
            self._ask(call, await self._authenticated(call))
        except Exception as error:  # noqa: BLE001  (the last to see it)
            call.refuse(error)

    def _ask(self, call: _Call, principal: Principal | None) -> None:
        rule = self._methods[call.path].rule
        if rule is not None and principal is not None:
            rule.check(principal)
        call.start(cygrpc.ReceiveMessageOperation(_NO_FLAGS), tag=_guarded(partial(self._received, call)))

    def _sweep(self) -> None:
        """End the calls whose message does not come, now and then."""
        asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)
        late = monotonic() - patience(crowded=self._calls >= self._most_calls)
        for call, since in self._waiting.copy().items():
            if since < late and self._waiting.pop(call, None) is not None:
                call.refuse(TimedOut("message_late", "The message of this call did not come in time."))

    def _closed(self, call: _Call, event: Event) -> None:
        self._calls -= 1
        self._bytes -= call.size
        self._waiting.pop(call, None)
        self._services.measures.ended(call.path[1:], call.status.name, monotonic() - call.begun)
        if event.batch_operations[0].cancelled():  # by the caller, or by the library at the deadline
            self._loop.soon(call.give_up)

    def _received(self, call: _Call, event: Event) -> None:
        """Have the call answered, with those that come meanwhile."""
        if self._waiting.pop(call, None) is None:  # it is over
            return
        message = event.batch_operations[0].message()
        call.size = len(message or b"")
        self._bytes += call.size
        if self._bytes > MOST_BYTES:
            call.refuse(too_many())
            return
        call.message = message
        self._arrived.append(call)
        if len(self._arrived) == 1:
            self._loop.soon(self._answer_all)

    def _answer_all(self) -> None:
        while self._arrived:
            call = self._arrived.popleft()
            if not call.over and not self._taken(call):
                call.task = asyncio.create_task(self._answer(call))

    def _taken(self, call: _Call) -> bool:
        """Whether the call is answered with others; what is wrong with one that is not is said when it is answered."""
        method = self._methods[call.path]
        principal = self._services.keyring.remembered(call.key) if method.take else None
        if method.take is None or principal is None:
            return False
        try:
            asked, key = method.read(call.message), idempotency_key_in(call.metadata)
        except RowcastError:
            return False
        return key is None and method.take(principal, asked, call)

    async def _answer(self, call: _Call) -> None:
        try:
            call.reply(await self._reply(call))
        except Exception as error:  # noqa: BLE001  (the last to see it)
            call.refuse(error)

    async def _reply(self, call: _Call) -> bytes:
        method = self._methods[call.path]
        principal = None
        if method.rule is not None:
            principal = await self._caller(call)
            method.rule.check(principal)
        reply = await method.answer(principal, method.read(call.message), idempotency_key_in(call.metadata))
        return reply.SerializeToString()

    async def _caller(self, call: _Call) -> Principal:
        """As ``calls.caller``: asked again once the message is there, for that may take longer than a key lasts."""
        principal = self._services.keyring.remembered(call.key)
        if principal is None:
            principal = await self._authenticated(call)
        if principal.limits is not None:
            self._services.rates.take(principal)
        return principal

    async def _authenticated(self, call: _Call) -> Principal:
        caller_address.set(address_of(call.peer))
        return await to_thread.run_sync(self._services.keyring.authenticate, call.key)


class _Call:
    """A call. It is ``over`` when nobody waits for the answer any more; ``status`` is then how it ended."""

    __slots__ = ("_core", "begun", "key", "message", "metadata", "over", "path", "size", "status", "task")

    def __init__(self, event: Event, path: str) -> None:
        self._core = event.call
        self.metadata = event.invocation_metadata
        self.path = path
        self.begun = monotonic()
        self.status = grpc.StatusCode.CANCELLED  # unless it is answered before
        self.key = ""
        self.size = 0
        self.message: bytes | None = None
        self.task: asyncio.Task[None] | None = None
        self.over = False

    @property
    def peer(self) -> str:
        peer: str | bytes = self._core.peer()
        return peer if isinstance(peer, str) else peer.decode()

    def start(self, *operations: Any, tag: Tag) -> None:
        """Have the library do this, and hear of it by the tag."""
        self._core.start_server_batch(operations, tag)

    def give_up(self) -> None:
        self.over = True
        if self.task is not None:
            self.task.cancel()

    def reply(self, message: bytes) -> None:
        self._end(grpc.StatusCode.OK, b"", (), cygrpc.SendMessageOperation(message, _NO_FLAGS))

    def refuse(self, error: Exception) -> None:
        status, details, trailing = ending(error, self.path)
        self._end(status, details.encode(), trailing)

    def _end(self, status: grpc.StatusCode, details: bytes, trailing: Trailing, *message: Any) -> None:
        if self.over:
            return
        self.over = True
        self.status = status
        ended = cygrpc.SendStatusFromServerOperation(trailing, status.value[0], details, _NO_FLAGS)
        self.start(cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS), *message, ended, tag=_sent)


def _guarded(handle: Callable[[Event], None]) -> Tag:
    """What the library calls with an event: an exception would end the thread that has them all."""

    def handled(event: Event) -> Handled:
        try:
            handle(event)
        except Exception as error:  # noqa: BLE001  (the same)
            log.error("unexpected %s in a call over gRPC", type(error).__name__)
        return _HANDLED

    return handled


def _sent(event: Event) -> Handled:
    """Of an answer that is sent nobody need hear."""
    return _HANDLED
