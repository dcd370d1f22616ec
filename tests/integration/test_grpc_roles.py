"""Every method of gRPC for every kind of caller, and the two doors held against each other: what one can do and the
other cannot is named here, with its reason, or fails."""

from __future__ import annotations

import inspect
import typing
from contextlib import ExitStack

import callers
import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from pydantic import BaseModel

from rowcast.datasets import ports
from rowcast.entrypoints.grpc import rowcast_v1, server
from rowcast.entrypoints.grpc.binding import Binding
from rowcast.entrypoints.grpc.operations import DOWNLOADS, TYPED, UNARY, UPLOADS
from rowcast.entrypoints.rest import account, administration, health
from rowcast.entrypoints.rest.app import ROUTERS
from rowcast.v1 import (
    accounts_pb2,
    common_pb2,
    credits_pb2,
    datasets_pb2,
    licences_pb2,
    models_pb2,
    predictions_pb2,
    tasks_pb2,
)

ONLY_REST = {
    health.check_live: "the standard health service answers it",
    account.sign_in: "a session is a cookie of a browser; programs have keys",
    account.sign_out: "as sign_in",
    account.follow_link: "as sign_in",
    account.list_sessions: "as sign_in",
    account.end_other_session: "as sign_in",
    account.make_sign_in_link: "the link leads to a page, and is made for the address that the browser sees",
    account.sign_up: "people sign up on a page, and letters lead back to it",
    account.ask_password_reset: "as sign_up",
    account.reset_password: "as sign_up",
    account.confirm_email: "as sign_up",
    account.get_account: "what it tells beside GetCaller is about passwords and sessions",
    account.change_password: "a person at a page proves who they are by the old one",
    account.change_email: "as change_password",
    administration.add_user: "its answer is a link to a page, as make_sign_in_link",
    administration.make_user_link: "as add_user",
    administration.make_invitation: "as add_user",
}
ONLY_GRPC: dict[str, str] = {}
"""Nothing: each method names the operation of REST that it is."""

PUBLIC = {"HealthCheck"}
NOT_WITH_SCOPES = {"UnlinkIdentity"}
"""As on REST: see ``test_rest_roles``."""
METHODS = {**UNARY, **DOWNLOADS, **UPLOADS, **TYPED}
DESCRIPTOR = rowcast_v1.DESCRIPTOR


def _input(name):
    """The message that says what is asked."""
    message = DESCRIPTOR.methods_by_name[name].input_type
    return message.fields_by_name["details"].message_type if name in UPLOADS else message


RULES = {name: Binding(endpoint, _input(name)).rule for name, endpoint in METHODS.items()}

PLACEHOLDERS = {
    **dict.fromkeys(("task_id", "receipt_id", "key_id", "identity_id"), "0" * 32),
    **dict.fromkeys(("name", "reference", "model"), "nothing"),
    **dict.fromkeys(("version", "number"), 1),
    "which": "predictions",
    "alias": "challenger",
    "wait": 0,
}


def test_what_rest_can_do_grpc_can():
    operations = {route.endpoint for router in ROUTERS for route in router.routes}
    methods = set(METHODS.values())
    assert operations - methods == set(ONLY_REST)
    assert methods - operations == set()
    assert set(DESCRIPTOR.methods_by_name) == set(METHODS) | set(ONLY_GRPC)


@pytest.mark.parametrize("name", sorted({**UNARY, **DOWNLOADS, **UPLOADS}))
def test_what_can_be_asked_over_rest_can_be_asked_over_grpc(name):
    binding = Binding(METHODS[name], _input(name))
    assert set(binding.names) <= set(_input(name).fields_by_name)
    assert set(_input(name).fields_by_name) - set(binding.names) <= {"take_away"}


MODULES = (
    accounts_pb2,
    common_pb2,
    credits_pb2,
    datasets_pb2,
    licences_pb2,
    models_pb2,
    predictions_pb2,
    tasks_pb2,
)
MESSAGES = {name: form for module in MODULES for name, form in module.DESCRIPTOR.message_types_by_name.items()}


def _views():
    """Every form that REST answers with, and those in it, by name."""
    found: dict[str, type[BaseModel]] = {}

    def walk(annotation):
        for part in typing.get_args(annotation):
            walk(part)
        if not (inspect.isclass(annotation) and issubclass(annotation, BaseModel)):
            return
        known = found.setdefault(annotation.__name__, annotation)
        if known is annotation and annotation.__name__ not in seen:
            seen.add(annotation.__name__)
            for field in annotation.model_fields.values():
                walk(field.annotation)

    seen: set[str] = set()
    for endpoint in METHODS.values():
        for router in ROUTERS:
            for route in router.routes:
                if route.endpoint is endpoint and route.response_model is not None:
                    walk(route.response_model)
    walk(ports.Progress)
    return {name: view for name, view in found.items() if not name.startswith("Page[")}


@pytest.mark.parametrize(("name", "view"), sorted(_views().items()))
def test_what_rest_answers_has_its_place_in_a_message(name, view):
    assert name in MESSAGES, "make a message of this view"
    assert set(view.model_fields) == set(MESSAGES[name].fields_by_name)


@pytest.fixture(scope="module")
def channel(assembled):
    with ExitStack() as stack:
        address = server.start(assembled, stack, beside=0)
        yield stack.enter_context(grpc.insecure_channel(address))


@pytest.fixture(scope="module")
def everybody(assembled):
    return {kind: one for kind, one in callers.everybody(assembled.database).items() if "Cookie" not in one.headers}


def _call(channel, name, caller):
    """The code and the details that a call ends with."""
    method = DESCRIPTOR.methods_by_name[name]
    request, reply = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    asked = request()
    form = _input(name)
    target = asked.details if name in UPLOADS else asked
    if name in UPLOADS:
        target.SetInParent()
    for field, value in PLACEHOLDERS.items():
        known = form.fields_by_name.get(field)
        if known is not None and known.message_type is None:
            setattr(target, field, str(value) if known.cpp_type == known.CPPTYPE_STRING else value)
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    call = getattr(channel, kind)(f"/{DESCRIPTOR.full_name}/{name}", request.SerializeToString, reply.FromString)
    metadata = [(header.lower(), value) for header, value in caller.headers.items()]
    try:
        answer = call(iter([asked]) if method.client_streaming else asked, metadata=metadata, timeout=60)
        if method.server_streaming:
            list(answer)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


@pytest.mark.parametrize("kind", callers.WITH_KEYS)
@pytest.mark.parametrize("name", sorted(METHODS))
def test_who_gets_in(channel, everybody, name, kind):
    rule, caller = RULES[name], everybody[kind]
    code, details = _call(channel, name, caller)
    assert code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED), details
    assert (rule is None) == (name in PUBLIC)
    if rule is None:
        assert code is grpc.StatusCode.OK
    elif caller.role is None:
        assert code is grpc.StatusCode.UNAUTHENTICATED
    else:
        admitted = callers.admits(rule, caller) and not (name in NOT_WITH_SCOPES and caller.scopes is not None)
        assert (code is grpc.StatusCode.PERMISSION_DENIED) != admitted, details
        assert code is not grpc.StatusCode.UNAUTHENTICATED
