"""The V2 door over HTTP: an ASGI application of its own, for every answer here, errors too, has the protocol's form."""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec
from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.rest import problems
from rowcast.entrypoints.rest.at_once import Answer, Answering, Whole
from rowcast.entrypoints.rest.browsers import Headers
from rowcast.entrypoints.rest.limits import check_size, whole_body, within
from rowcast.entrypoints.rest.outcome import key_in
from rowcast.entrypoints.rest.security import PREDICTING, READING, TRAINING, Rule, caller, key_of
from rowcast.entrypoints.services import Services
from rowcast.entrypoints.v2 import described, repository
from rowcast.entrypoints.v2.infer import Inferred, infer, reference_of, served
from rowcast.entrypoints.v2.outputs import render
from rowcast.entrypoints.v2.tensors import Asked, read
from rowcast.entrypoints.v2.together import Together
from rowcast.entrypoints.wording import in_a_sentence
from rowcast.errors import InvalidInput, NotFound, RowcastError, TooLarge, TooMany
from rowcast.scoring.requests import strictly

PREFIX = "/v2"
HEADER_LENGTH = b"inference-header-content-length"
MOST_CALLS = 1024
"""Calls that have arrived and are not answered yet; more are told to come again."""

_BY_ITSELF = frozenset({b"content-encoding", b"idempotency-key"})
"""Headers of calls that are answered one by one: what is packed may be large, and what is made again is looked up."""

_KEPT_HEADERS = frozenset({b"retry-after", b"www-authenticate", b"allow"})
_MODEL = r"/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?"


class Call(NamedTuple):
    """What an operation is given: who calls (None where anyone may), the parts of the address, headers and body; a
    header that came twice is in ``sent`` alone as it came."""

    principal: Principal | None
    parts: Mapping[str, str]
    headers: Mapping[bytes, bytes]
    body: bytes
    sent: Headers


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The status and body of an answer; with ``header_length`` binary sections follow after so many bytes of JSON."""

    status: int
    body: bytes
    header_length: int | None = None
    headers: Sequence[tuple[bytes, bytes]] = ()


class _Waiting(msgspec.Struct, frozen=True):
    """Who waits for a whole answer. One who has gone is found out when it is written."""

    reply: Answer
    over: bool = False

    def refuse(self, error: Exception) -> None:
        self.reply(_refused(error))


class _IndexRequest(msgspec.Struct):
    ready: bool = False


Operation = Callable[[Call], Awaitable[Reply]]


class Route(NamedTuple):
    """An operation: its method, the pattern of its path, whom it admits (None: anyone), and what answers it."""

    method: str
    path: re.Pattern[str]
    rule: Rule | None
    answer: Operation


class V2:
    """The application, for paths that begin with ``/v2``."""

    def __init__(self, services: Services, most_calls: int = MOST_CALLS) -> None:
        self._services = services
        self._most_calls = most_calls
        self._calls = 0
        self._together = Together(services, _rendered)
        self.routes = [
            _route("POST", rf"{_MODEL}/infer", PREDICTING, self._infer),
            _route("GET", "", READING, self._server),
            _route("GET", "/health/live", None, self._live),
            _route("GET", "/health/ready", None, self._ready),
            _route("GET", "/models/stats", READING, self._all_statistics),
            _route("GET", rf"{_MODEL}", READING, self._metadata),
            _route("GET", rf"{_MODEL}/ready", READING, self._model_ready),
            _route("GET", rf"{_MODEL}/config", READING, self._config),
            _route("GET", rf"{_MODEL}/stats", READING, self._model_statistics),
            _route("POST", "/repository/index", READING, self._index),
            _route("POST", r"/repository/models/(?P<model>[^/]+)/load", TRAINING, self._load),
            _route("POST", r"/repository/models/(?P<model>[^/]+)/unload", TRAINING, self._unload),
        ]

    def takes(self, scope: Scope) -> bool:
        """Whether the address is one of the protocol's."""
        path: str = scope.get("path", "")
        return scope["type"] == "http" and (path == PREFIX or path.startswith(f"{PREFIX}/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def body() -> bytes:
            return await whole_body(within(scope, receive, self._services.settings.max_body_bytes))

        try:
            whole = await self._reply(scope, body)
        except ClientDisconnect:
            return
        await send({"type": "http.response.start", "status": whole.status, "headers": whole.headers})
        await send({"type": "http.response.body", "body": whole.body})

    def at_once(self, scope: Scope) -> Answering | None:
        """See ``rest.at_once``."""
        if scope["method"] != "POST" or not self.takes(scope):
            return None
        scope["operation"] = type(self).__name__

        def by_itself(sent: bytes) -> Awaitable[Whole]:
            async def body() -> bytes:
                check_size(len(sent), self._services.settings.max_body_bytes)
                return sent

            return self._reply(scope, body)

        take = self._taking(scope)

        def answering(sent: bytes, answer: Answer) -> Awaitable[Whole] | None:
            full = self._calls + self._together.waiting >= self._most_calls
            if take is None or full or not take(sent, _Waiting(answer)):
                return by_itself(sent)
            return None

        return answering

    def _taking(self, scope: Scope) -> Callable[[bytes, _Waiting], bool] | None:
        """What has calls with this head answered together, if they may be."""
        headers, key = dict(scope["headers"]), key_of(scope["headers"])
        try:
            route, parts = self._route(scope)
            length = _header_length(headers)
        except (RowcastError, HTTPException):
            return None
        if route is not self.routes[0] or not key or headers.keys() & _BY_ITSELF:
            return None
        reference, caller = reference_of(parts["model"], parts.get("version", "")), self._services.keyring.watched(key)

        def take(sent: bytes, waiting: _Waiting) -> bool:
            return self._together.take(caller(), reference, sent, partial(read, sent, length), waiting)

        return take

    async def _reply(self, scope: Scope, body: Callable[[], Awaitable[bytes]]) -> Whole:
        """The answer to a request, an error too.

        Raises:
            ClientDisconnect: nobody waits for one.
        """
        try:
            return _whole(await self._answered(scope, body))
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  (the last to see it)
            return _refused(error, scope["method"])

    async def _answered(self, scope: Scope, body: Callable[[], Awaitable[bytes]]) -> Reply:
        route, parts = self._route(scope)
        headers = dict(scope["headers"])
        principal = None
        if route.rule is not None:
            principal = await caller(self._services, scope)
            route.rule.check(principal)
        sent = await body() if route.method == "POST" else b""
        return await route.answer(Call(principal, parts, headers, sent, scope["headers"]))

    def _route(self, scope: Scope) -> tuple[Route, dict[str, str]]:
        path: str = scope["raw_path"].decode("latin-1") if scope.get("raw_path") else scope["path"]
        path = path.partition("?")[0].removeprefix(PREFIX)
        path = path.removesuffix("/")
        allowed = []
        for route in self.routes:
            found = route.path.fullmatch(path)
            if found and route.method == scope["method"]:
                return route, {name: unquote(part) for name, part in found.groupdict().items() if part}
            if found:
                allowed.append(route.method)
        if allowed:
            raise HTTPException(405, f"This address takes {allowed[0]}.", {"Allow": allowed[0]})
        raise NotFound("not_found", "There is nothing at this address of the V2 protocol.")

    async def _infer(self, call: Call) -> Reply:
        if self._calls + self._together.waiting >= self._most_calls:
            raise TooMany("too_many_calls", "The server has too many calls to answer. Try again in a moment.")
        self._calls += 1
        try:
            return await self._inferred(call)
        finally:
            self._calls -= 1

    async def _inferred(self, call: Call) -> Reply:
        assert call.principal is not None
        found = await served(self._services, call.principal, call.parts["model"], call.parts.get("version", ""))
        limit = self._services.settings.max_body_bytes
        # What is packed may be large: it is unpacked where it holds up nobody.
        size = limit if b"content-encoding" in call.headers else len(call.body)
        key = key_in(call.sent)
        read_body = partial(_read, call.headers, limit, call.body)
        return _inferred(await infer(self._services, call.principal, found, size, call.body, read_body, key))

    async def _server(self, call: Call) -> Reply:
        return _json(described.SERVER)

    async def _live(self, call: Call) -> Reply:
        return _json({"live": True})

    async def _ready(self, call: Call) -> Reply:
        ready = await to_thread.run_sync(repository.is_ready, self._services)
        return _json({"ready": ready}, 200 if ready else 503)

    async def _metadata(self, call: Call) -> Reply:
        assert call.principal is not None
        found = await served(self._services, call.principal, call.parts["model"], call.parts.get("version", ""))
        versions = repository.versions(self._services, call.principal, found.model.name)
        return _json(described.metadata(found.model, versions))

    async def _config(self, call: Call) -> Reply:
        assert call.principal is not None
        found = await served(self._services, call.principal, call.parts["model"], call.parts.get("version", ""))
        return _json(described.config(found.model))

    async def _model_ready(self, call: Call) -> Reply:
        assert call.principal is not None
        name, version = call.parts["model"], call.parts.get("version", "")
        ready = await to_thread.run_sync(repository.is_loaded, self._services, call.principal, name, version)
        return _json({"name": name, "ready": ready}, 200 if ready else 503)

    async def _model_statistics(self, call: Call) -> Reply:
        assert call.principal is not None
        found = await served(self._services, call.principal, call.parts["model"], call.parts.get("version", ""))
        return _json({"model_stats": [self._services.statistics.shown(found.model.name, found.model.number)]})

    async def _all_statistics(self, call: Call) -> Reply:
        assert call.principal is not None
        index = repository.index(self._services, call.principal)
        return _json(
            {"model_stats": [self._services.statistics.shown(one["name"], int(one["version"])) for one in index]}
        )

    async def _index(self, call: Call) -> Reply:
        assert call.principal is not None
        asked = strictly(call.body, _IndexRequest, '{"ready": true or false}') if call.body.strip() else _IndexRequest()
        return _json(repository.index(self._services, call.principal, only_ready=asked.ready))

    async def _load(self, call: Call) -> Reply:
        assert call.principal is not None
        await to_thread.run_sync(repository.load, self._services, call.principal, call.parts["model"])
        return _json({})

    async def _unload(self, call: Call) -> Reply:
        assert call.principal is not None
        repository.unload(self._services, call.principal, call.parts["model"])
        return _json({})


def _route(method: str, path: str, rule: Rule | None, answer: Operation) -> Route:
    return Route(method, re.compile(path), rule, answer)


def _json(content: Any, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(content))


def _read(headers: Mapping[bytes, bytes], limit: int, body: bytes) -> Asked:
    encoding = headers.get(b"content-encoding", b"identity")
    plain = body if encoding == b"identity" else _decompressed(body, encoding, limit)
    return read(plain, _header_length(headers))


def _header_length(headers: Mapping[bytes, bytes]) -> int | None:
    value = headers.get(HEADER_LENGTH)
    if value is None:
        return None
    if not value.isdigit() or len(value) > 12:
        raise InvalidInput("tensors_invalid", "Inference-Header-Content-Length is a number of bytes.")
    return int(value)


def _decompressed(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body as it was before it was made smaller.

    Raises:
        InvalidInput: it is damaged, or in a form that is not known here.
        TooLarge: there is more of it than the limit.
    """
    if encoding not in (b"gzip", b"deflate"):
        raise InvalidInput("encoding_unknown", "Content-Encoding is gzip or deflate here, or none.")
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        unpacked = unpacking.decompress(body, limit)
    except zlib.error:
        raise InvalidInput("encoding_invalid", "The body is not what its Content-Encoding says.") from None
    if unpacking.unconsumed_tail:
        raise TooLarge("body_too_large", f"The request unpacks to more than the {limit:,} bytes allowed here.")
    if not unpacking.eof:
        raise InvalidInput("encoding_invalid", "The body ends too early.")
    return unpacked


def _refusal(problem: problems.ProblemResponse) -> Reply:
    """The protocol knows no 422: what is wrong with a request is 400."""
    status = 400 if problem.status_code == 422 else problem.status_code
    kept = [(name, value) for name, value in problem.raw_headers if name in _KEPT_HEADERS]
    told = problems.ProblemDetails.model_validate_json(bytes(problem.body))
    error = in_a_sentence(told.code, told.detail, told.problems)
    return Reply(status, msgspec.json.encode({"error": error}), headers=kept)


def _inferred(done: Inferred) -> Reply:
    again = ((b"idempotency-replayed", b"true"),) if done.scored.before else ()
    return Reply(200, *render(done.model, done.asked, done.receipt, done.outputs), again)


def _rendered(done: Inferred) -> Whole:
    return _whole(_inferred(done))


def _refused(error: Exception, method: str = "POST") -> Whole:
    return _whole(_refusal(problems.answer_to(error, f"{method} {PREFIX}")))


def _whole(reply: Reply) -> Whole:
    kind = b"application/json" if reply.header_length is None else b"application/octet-stream"
    headers = [(b"content-length", b"%d" % len(reply.body)), (b"content-type", kind), *reply.headers]
    if reply.header_length is not None:
        headers.append((HEADER_LENGTH, b"%d" % reply.header_length))
    return Whole(reply.status, headers, reply.body)
