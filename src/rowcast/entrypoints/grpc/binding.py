"""An operation of REST as a method: its parameters from a message, by the same rules, and its answer into one."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from pydantic import BaseModel, TypeAdapter, ValidationError

from rowcast.accounts.principal import Principal
from rowcast.entrypoints.rest.bodies import require_plain
from rowcast.entrypoints.rest.outcome import LONGEST_WAIT, IdempotencyKey, PreferredWait, key_in
from rowcast.entrypoints.rest.problems import invalid
from rowcast.entrypoints.rest.security import RULE_ATTRIBUTE, Rule, Wired
from rowcast.entrypoints.services import Services
from rowcast.v1.data import fill

Reader = Callable[["Given"], Any]
"""What makes the value of one parameter."""


class Given(typing.NamedTuple):
    """All that parameters are read from; ``data`` is the message, and ``request`` that of an upload."""

    services: Services
    principal: Principal | None
    data: dict[str, Any]
    request: Request | None = None
    key: str | None = None
    """The idempotency key in the metadata, for a message without one."""


class Binding:
    """An operation as it is called with a message."""

    def __init__(self, endpoint: Callable[..., Any], asked: Descriptor) -> None:
        self.endpoint = endpoint
        self.waits = inspect.iscoroutinefunction(endpoint)
        self.rule: Rule | None = None
        self.names: list[str] = []
        """Fields of the message that are read."""
        self._asked = asked
        self._readers = dict(self._parameters(endpoint))

    def call(self, given: Given) -> Any:
        """What the operation answers; a coroutine where it ``waits``.

        Raises:
            RowcastError: of the operation, or for what was asked.
        """
        return self.endpoint(**{name: read(given) for name, read in self._readers.items()})

    def _parameters(self, function: Callable[..., Any]) -> Iterator[tuple[str, Reader]]:
        hints = typing.get_type_hints(function, include_extras=True)
        for name, parameter in inspect.signature(function).parameters.items():
            yield name, self._reader(name, hints[name], parameter.default)

    def _reader(self, name: str, hint: Any, default: Any) -> Reader:
        if hint is Request:
            return lambda given: given.request
        if hint is Response:
            return lambda given: Response()
        if hint == Wired:
            return lambda given: given.services
        if hint == IdempotencyKey:
            self.names.append(name)
            return lambda given: _idempotency_key(given.data.get(name)) or given.key
        if hint == PreferredWait:
            if name in self._asked.fields_by_name:  # there may be another wait
                self.names.append(name)
            return lambda given: _seconds(name, given.data)
        dependency = next((one.dependency for one in _metadata(hint) if isinstance(one, Depends)), None)
        if dependency is not None:
            return self._dependency(dependency)
        return self._value(name, hint, default)

    def _dependency(self, dependency: Callable[..., Any]) -> Reader:
        rule = getattr(dependency, RULE_ATTRIBUTE, None)
        if rule is not None:
            self.rule = rule
            return lambda given: given.principal
        readers = dict(self._parameters(dependency))
        return lambda given: dependency(**{name: read(given) for name, read in readers.items()})

    def _value(self, name: str, hint: Any, default: Any) -> Reader:
        body = _model_of(hint)
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
        if body is None or name in self._asked.fields_by_name:
            self.names.append(name)
            return lambda given: _one(name, adapter, default, given.data)
        self.names += body.model_fields
        return lambda given: _whole(body, adapter, default, given.data)


def _metadata(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__metadata__", ())


def _model_of(hint: Any) -> type[BaseModel] | None:
    """The form of a body, whose fields are fields of the message."""
    plain = hint.__origin__ if _metadata(hint) else hint
    options = [one for one in typing.get_args(plain) or (plain,) if one is not type(None)]
    only = options[0] if len(options) == 1 else None
    return only if inspect.isclass(only) and issubclass(only, BaseModel) else None


def _one(name: str, adapter: TypeAdapter[Any], default: Any, data: Mapping[str, Any]) -> Any:
    if name not in data and default is not inspect.Parameter.empty:
        return default
    value = data.get(name)
    if isinstance(default, str) and isinstance(value, dict):  # REST has it as JSON in an address
        value = json.dumps(value)
    return _validated(adapter, value, (name,))


def _whole(body: type[BaseModel], adapter: TypeAdapter[Any], default: Any, data: dict[str, Any]) -> Any:
    fields = {name: data[name] for name in body.model_fields if name in data}
    require_plain(fields)
    if not fields and default is None:
        return None
    for removed in data.get("take_away", ()):
        fields[removed] = None
    for name, field in body.model_fields.items():
        if field.is_required() and name not in data and _may_be_none(field.annotation):
            fields[name] = None
    return _validated(adapter, fields, ())


def _may_be_none(annotation: Any) -> bool:
    return type(None) in typing.get_args(annotation)


def _validated(adapter: TypeAdapter[Any], value: Any, place: tuple[str, ...]) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise invalid(RequestValidationError([{**fault, "loc": (*place, *fault["loc"])} for fault in faults])) from None


def _idempotency_key(key: str | None) -> str | None:
    return None if key is None else key_in([(b"idempotency-key", key.encode())])


def _seconds(name: str, data: Mapping[str, Any]) -> float | None:
    value = data.get(name)
    return None if value is None else max(0.0, min(float(value), LONGEST_WAIT))


def render(answer: Any, reply: Message) -> Message:
    """Put what an operation answered into a message."""
    status, data = 200, answer
    if isinstance(answer, Response):
        status, content = answer.status_code, bytes(answer.body)
        data = content.decode() if answer.media_type == "text/html" else json.loads(content)
    elif isinstance(answer, BaseModel):
        data = answer.model_dump(mode="json")
    elif isinstance(answer, list):
        data = {"items": [one.model_dump(mode="json") for one in answer]}
    if data is None:
        return reply
    fill(reply, _placed(data, reply.DESCRIPTOR, accepted=status == 202))
    return reply


def _placed(data: Any, form: Any, *, accepted: bool) -> Any:
    """The data at its place in the message: one of several outcomes, or entries by name."""
    outcome = form.oneofs_by_name.get("outcome")
    if outcome is not None:
        return {outcome.fields[1 if accepted else 0].name: data}
    return {"entries": data} if set(form.fields_by_name) == {"entries"} else data
