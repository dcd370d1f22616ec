"""Clients of other servers, unchanged from PyPI, against one running server with keys on: whatever they call is
answered as REST answers it. `make clients` runs these alone."""

import csv
import json
import os
import socket
import subprocess
from pathlib import Path

import grpc
import httpx2
import numpy as np
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "clients"
ENVIRONMENTS = ROOT / ".venv-clients"
PATIENCE = 120


@pytest.fixture(scope="module")
def served(tmp_path_factory, server_class, example):
    """A server with a model of loans, and what its clients need to know."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = server_class(tmp_path_factory.mktemp("clients") / "data", grpc_port=str(port)).start()
    with server.client() as client:
        client.datasets.add(example, name="loans")
        client.train_and_wait(dataset="loans", target="MIS_Status", preset="fast", algorithms=["lightgbm"], folds=2)
        rows = rows_of(example, client.models.schema("loans"))
    yield {"url": server.url, "grpc": f"127.0.0.1:{port}", "key": server.key, "rows": rows}
    server.stop()


def rows_of(example, schema):
    """Rows as programs have them: numbers as numbers, the other cells as they stand in the table."""
    with example.open(newline="") as file:
        found = [row for _, row in zip(range(40), csv.DictReader(file), strict=False)]
    numbers = {feature.name for feature in schema.features if feature.kind == "number"}

    def cell(name, text):
        return float(text.replace("$", "").replace(",", "")) if name in numbers else text

    # As float32, which is what a tensor of FP32 can say.
    return [{name: _narrow(cell(name, row[name])) for name in schema.names} for row in found]


def _narrow(value):
    return float(np.float32(value)) if isinstance(value, float) else value


@pytest.fixture(scope="module")
def expected(served):
    """What REST answers: of each row the probabilities in the order of the classes, and the label."""
    headers = {"Authorization": f"Bearer {served['key']}"}
    answer = httpx2.post(
        f"{served['url']}/api/v1/models/loans/predict", headers=headers, json={"rows": served["rows"]}
    ).json()
    return answer["predictions"]


def call(served, name, program):
    """What a client's program saw."""
    python = ENVIRONMENTS / name / "bin" / "python"
    if not python.exists():
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"no client {name}: run scripts/setup-clients.sh")
    told = {f"CALLED_{key.upper()}": value for key, value in served.items() if key != "rows"}
    told |= {"CALLED_ROWS": json.dumps(served["rows"]), "CALLED_MODEL": "loans", "GRPC_VERBOSITY": "NONE"}
    done = subprocess.run(
        [python, PROGRAMS / program], env=os.environ | told, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def check_answers(answers, expected):
    wanted = [list(one["probabilities"].values()) for one in expected]
    for how, found in answers.items():
        np.testing.assert_allclose(found, wanted, atol=1e-6, err_msg=how)


REFUSALS = {
    "triton_http.py": ["401", "404", "400"],
    "triton_grpc.py": [f"StatusCode.{name}" for name in ("UNAUTHENTICATED", "NOT_FOUND", "INVALID_ARGUMENT")],
}


@pytest.mark.parametrize("program", REFUSALS)
def test_tritonclient(served, expected, program):
    seen = call(served, "tritonclient", program)
    check_answers(seen["answers"], expected)
    assert all(seen[name] for name in ("live", "ready", "model_ready", "version_ready", "aio_live", "receipt"))
    assert seen["labels"] == [one["value"] for one in expected]
    assert seen["id"] == "seven"
    assert seen["server"]["name"] == "rowcast"
    assert seen["metadata"]["versions"] == ["1"]
    assert {one["datatype"] for one in seen["metadata"]["inputs"]} == {"FP32", "BYTES"}
    config = seen["config"].get("config", seen["config"])
    assert config["name"] == "loans"
    assert [one["name"] for one in seen["index"]] == ["loans"]
    assert (seen["index"][0]["state"], seen["unloaded"]) == ("READY", ["UNAVAILABLE"])
    for statistics in (seen["statistics"], seen["all_statistics"]):
        assert int(statistics["model_stats"][0]["inference_count"]) >= 40
    assert "key" in seen["without_key"][1]
    assert "There is no model" in seen["unknown_model"][1]
    assert "rows cannot be read" in seen["few_inputs"][1]
    refused = [seen[name] for name in ("without_key", "unknown_model", "few_inputs")]
    assert [status for status, _ in refused] == REFUSALS[program]
    assert "There is no model" in seen.get("stream_failure", "There is no model")


def test_kserve(served, expected):
    seen = call(served, "kserve", "kserve_both.py")
    check_answers(seen["answers"], expected)
    assert seen["ids"] == ["seven", "seven"]
    assert all(seen[name] for name in ("live", "ready", "model_ready", "grpc_live", "grpc_ready", "grpc_model_ready"))


def test_mlserver(served, expected, tmp_path):
    """``mlserver infer`` reads calls from a file, a line each."""
    command = ENVIRONMENTS / "mlserver" / "bin" / "mlserver"
    if not command.exists():
        (pytest.fail if "CI" in os.environ else pytest.skip)("no client mlserver: run scripts/setup-clients.sh")
    described = httpx2.get(f"{served['url']}/v2/models/loans", headers={"X-API-Key": served["key"]}).json()["inputs"]
    calls = [
        {
            "inputs": [
                {
                    "name": one["name"],
                    "shape": [1, 1],
                    "datatype": one["datatype"],
                    "data": [row[one["name"]] if one["datatype"] == "FP32" else str(row[one["name"]])],
                }
                for one in described
            ]
        }
        for row in served["rows"][:5]
    ]
    asked, answered = tmp_path / "calls.jsonl", tmp_path / "answers.jsonl"
    asked.write_text("".join(json.dumps(one) + "\n" for one in calls))
    host = served["url"].removeprefix("http://")
    options = ["-u", host, "-m", "loans", "-i", asked, "-o", answered, "-H", f"Authorization: Bearer {served['key']}"]
    done = subprocess.run([command, "infer", *options], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    replies = sorted(map(json.loads, answered.read_text().splitlines()), key=_place)
    found = [_output(reply, "probabilities") for reply in replies]
    check_answers({"mlserver": found}, expected[:5])


def _place(reply):
    return reply["parameters"]["batch_index"]


def _output(reply, name):
    return next(output["data"] for output in reply["outputs"] if output["name"] == name)


def test_mlflow(served, expected):
    seen = call(served, "mlflow", "mlflow_scoring.py")
    wanted = [[one["probability"], one["value"]] for one in expected]
    assert set(seen["answers"]) == {"table", "instances", "inputs", "records"}
    for found in seen["answers"].values():
        assert [one[1] for one in found] == [one[1] for one in wanted]
        np.testing.assert_allclose([one[0] for one in found], [one[0] for one in wanted], atol=1e-6)
    assert "ROWS_INVALID" in seen["refused"]


def test_health_and_reflection(served):
    with grpc.insecure_channel(served["grpc"]) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "inference.GRPCInferenceService"):
            status = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status
            assert status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as unknown:
            health.Check(health_pb2.HealthCheckRequest(service="nothing"), timeout=10)
        assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "inference.GRPCInferenceService" in database.get_services()
        service = DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService")
        assert "ModelInfer" in service.methods_by_name
