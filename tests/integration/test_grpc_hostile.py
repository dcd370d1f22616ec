"""Callers over gRPC who begin calls and send no message, or send them without a key: nobody else waits for them."""

import threading
from contextlib import ExitStack, contextmanager

import callers
import grpc
import pytest
from grpc_health.v1 import health_pb2

from rowcast.accounts.principal import Role
from rowcast.entrypoints.grpc import direct, server, unsent
from rowcast.inference import v2_pb2 as v2
from rowcast.v1 import rowcast_pb2 as v1

INFER, READY, METADATA = (
    f"/inference.GRPCInferenceService/{name}" for name in ("ModelInfer", "ServerReady", "ServerMetadata")
)
MODEL = "/rowcast.v1.Rowcast/GetModel"
LIST, CHECK, WATCH = "/rowcast.v1.Rowcast/ListModels", "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"


@pytest.fixture(scope="module")
def address(assembled):
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(unsent, "MESSAGE_SECONDS", 0.5)
        yield server.start(assembled, stack, beside=0)


@pytest.fixture(scope="module")
def key(assembled):
    everybody = callers.everybody(assembled.database).values()
    known = next(one for one in everybody if one.role is Role.ADMIN and "Cookie" not in one.headers)
    return [(name.lower(), value) for name, value in known.headers.items()]


@pytest.fixture
def channel(address):
    with grpc.insecure_channel(address) as channel:
        yield channel


def answered(channel, path, sent=b"", key=()):
    return channel.unary_unary(path)(sent, metadata=key, timeout=10)


@contextmanager
def half_open(address, path, count, key=()):
    """So many calls whose message does not come."""
    leave = threading.Event()

    def never():
        leave.wait()
        yield from ()

    with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        calls = [channel.stream_unary(path).future(never(), metadata=key) for _ in range(count)]
        yield calls
        leave.set()
        for call in calls:
            call.cancel()


def test_a_call_without_a_key_is_refused_before_its_message(address):
    for path in (INFER, LIST):
        for key in ((), [("x-api-key", "rc_unknown")]):
            with half_open(address, path, 1, key) as (call,):
                assert call.exception(timeout=10).code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_message_that_does_not_come_is_not_waited_for(address, key):
    with half_open(address, INFER, 3, key) as calls:
        ends = [call.exception(timeout=10) for call in calls]
    assert {end.code() for end in ends} == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert dict(ends[0].trailing_metadata())["rowcast-error-code"] == "message_late"


@pytest.mark.parametrize("path", [CHECK, WATCH, READY, METADATA])
def test_half_open_calls_of_strangers_hold_up_nobody(address, channel, key, path):
    with half_open(address, path, 40):
        for _ in range(20):  # each may be answered by others
            assert health_pb2.HealthCheckResponse.FromString(answered(channel, CHECK)).status == 1
        assert v2.ServerReadyResponse.FromString(answered(channel, READY)).ready
        answered(channel, LIST, key=key)


def test_half_open_calls_with_a_key_hold_up_nobody_for_long(address, channel, key):
    with half_open(address, MODEL, 40, key):
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as refused:
                answered(channel, MODEL, v1.GetModelRequest(name="nothing").SerializeToString(), key=key)
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_health_knows_its_services(channel):
    with pytest.raises(grpc.RpcError) as refused:
        answered(channel, CHECK, health_pb2.HealthCheckRequest(service="nothing").SerializeToString())
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_call_that_comes_as_the_server_stops_is_answered(address, key, channel, monkeypatch):
    def stopping(*_):
        raise ValueError

    taken = direct.Direct._take
    missed = []

    def take(self, path, called):
        missed.append((self, path, called))
        stopping()

    with monkeypatch.context() as patched:
        patched.setattr(direct.Direct, "_take", take)
        with pytest.raises(grpc.RpcError) as refused:
            answered(channel, INFER, v2.ModelInferRequest(model_name="nothing").SerializeToString(), key)
    for again in missed:
        taken(*again)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_whoever_watches_a_service_is_told_how_it_is_and_one_that_there_is_not_is_not_kept(channel):
    watch = channel.unary_stream(WATCH)
    for name, status in (("", 1), ("inference.GRPCInferenceService", 1), ("nothing", 3), ("long" * 1000, 3)):
        watching = watch(health_pb2.HealthCheckRequest(service=name).SerializeToString(), timeout=10)
        assert health_pb2.HealthCheckResponse.FromString(next(watching)).status == status
        assert watching.is_active()
        watching.cancel()
