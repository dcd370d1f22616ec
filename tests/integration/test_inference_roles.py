"""The doors of other protocols for every kind of caller: complete by construction, for it walks their own routes."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import callers
import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from starlette.testclient import TestClient

from rowcast.entrypoints.grpc import server
from rowcast.entrypoints.grpc.direct import Direct
from rowcast.entrypoints.grpc.inference import Inference
from rowcast.entrypoints.grpc.loop import Loop
from rowcast.entrypoints.mlflow.app import METHODS as MLFLOW
from rowcast.entrypoints.rest.app import create_app
from rowcast.entrypoints.rest.security import PREDICTING
from rowcast.entrypoints.v2.app import V2
from rowcast.inference import v2_pb2

PUBLIC = {"/health/live", "/health/ready"}
SERVICE = v2_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]


@pytest.fixture(scope="module")
def everybody(assembled):
    return callers.everybody(assembled.database)


@pytest.fixture(scope="module")
def http(assembled):
    return TestClient(create_app(assembled), raise_server_exceptions=False)


def check(rule, caller, status):
    if rule is None:
        assert status == 200
    elif caller.role is None:
        assert status == 401
    else:
        assert (status == 403) != callers.admits(rule, caller)
        assert status not in (401, 405)
        assert status < 500


def addresses(route):
    """Addresses that the route's pattern takes, of a model that there is not."""
    pattern = route.path.pattern
    address = pattern.replace("(?:/versions/(?P<version>[^/]+))?", "").replace("(?P<model>[^/]+)", "nothing")
    assert route.path.fullmatch(address), pattern
    return address


@pytest.mark.parametrize("kind", callers.KINDS)
def test_who_gets_in_over_http(assembled, http, everybody, kind):
    caller = everybody[kind]
    routes = V2(assembled).routes
    assert {addresses(route) for route in routes if route.rule is None} == PUBLIC
    for route in routes:
        answer = http.request(route.method, f"/v2{addresses(route)}", headers=caller.headers)
        check(route.rule, caller, answer.status_code)
        assert answer.status_code == 200 or set(answer.json()) == {"error"}


def test_who_comes_when_there_are_too_many_calls_is_told_when_to_come_again(assembled, everybody):
    with_key = next(caller for caller in everybody.values() if caller.role and callers.admits(PREDICTING, caller))
    full = TestClient(V2(assembled, most_calls=0))
    refused = full.post("/v2/models/nothing/infer", headers=with_key.headers, json={"inputs": []})
    assert (refused.status_code, set(refused.json())) == (429, {"error"})
    assert int(refused.headers["retry-after"]) > 0
    assert full.get("/v2", headers=with_key.headers).status_code == 200


@pytest.mark.parametrize("kind", callers.KINDS)
def test_who_gets_in_by_mlflow_s_protocol(http, everybody, kind):
    caller = everybody[kind]
    for operation, method in MLFLOW.items():
        answer = http.request(method, f"/mlflow/nothing/{operation}", headers=caller.headers)
        check(PREDICTING if operation == "invocations" else None, caller, answer.status_code)


@pytest.fixture(scope="module")
def channel(assembled):
    with ExitStack() as stack:
        address = server.start(assembled, stack, beside=0)
        yield stack.enter_context(grpc.insecure_channel(address))


@pytest.mark.parametrize("kind", callers.WITH_KEYS)
@pytest.mark.parametrize("name", sorted(SERVICE.methods_by_name))
def test_who_gets_in_over_grpc(assembled, channel, everybody, name, kind):
    caller, method = everybody[kind], SERVICE.methods_by_name[name]
    rule = Inference(assembled).methods[name].rule
    request, reply = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    streams = method.client_streaming
    call = (channel.stream_stream if streams else channel.unary_unary)(
        f"/{SERVICE.full_name}/{name}", request.SerializeToString, reply.FromString
    )
    metadata = [(header.lower(), value) for header, value in caller.headers.items()]
    code = grpc.StatusCode.OK
    try:
        answer = call(iter([request()]) if streams else request(), metadata=metadata, timeout=30)
        if streams:
            list(answer)
    except grpc.RpcError as error:
        code = error.code()
    if rule is None:
        assert name in ("ServerLive", "ServerReady")
        assert code is grpc.StatusCode.OK
    elif caller.role is None:
        assert code is grpc.StatusCode.UNAUTHENTICATED
    else:
        assert (code is grpc.StatusCode.PERMISSION_DENIED) != callers.admits(rule, caller)
        assert code not in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)


def test_predictions_over_grpc_are_answered_past_the_threads_of_this_release(assembled):
    with closing(Loop()) as loop:
        direct = Direct(assembled, loop, Inference(assembled).direct(), 1)
        assert direct.attach(grpc.server(ThreadPoolExecutor(1)))
        assert not direct.attach(object()), "another has other names"
