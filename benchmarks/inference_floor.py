"""Floors of the Open Inference Protocol: bare servers that parse the same calls, run the same ONNX and answer.

No key, no validation, no journal, no labels. Run as ``python -m benchmarks.inference_floor KIND PORT``; FLOOR_BUNDLE
names the exported bundle of a model of numbers alone. KIND is asgi (uvicorn), aio (gRPC on an event loop) or threads.
"""

from __future__ import annotations

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
import uvicorn

from rowcast.inference import v2_pb2 as v2

FOLDER = Path(os.environ["FLOOR_BUNDLE"])
THREADS = 8
METHOD = ("inference.GRPCInferenceService", "ModelInfer")

_options = onnxruntime.SessionOptions()
_options.intra_op_num_threads = 1
_session = onnxruntime.InferenceSession(FOLDER / "quick.onnx", _options)
_matrix = _session.get_inputs()[0].name


class _Input(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[float] = []


class _Request(msgspec.Struct):
    inputs: list[_Input]


_decode = msgspec.json.Decoder(_Request).decode
_encode = msgspec.json.Encoder().encode


def _run(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    (outputs,) = _session.run(None, {_matrix: rows})
    return outputs  # type: ignore[no-any-return]


def _reply(output: dict[str, Any]) -> dict[str, Any]:
    return {"model_name": "floor", "outputs": [{"name": "probabilities", "datatype": "FP32", **output}]}


def answer_json(body: bytes) -> bytes:
    (one,) = _decode(body).inputs
    outputs = _run(np.array(one.data, dtype=np.float32).reshape(one.shape))
    return _encode(_reply({"shape": outputs.shape, "data": outputs.ravel().tolist()}))


def answer_binary(body: bytes, length: int) -> tuple[bytes, int]:
    (one,) = _decode(body[:length]).inputs
    outputs = _run(np.frombuffer(body, "<f4", offset=length).reshape(one.shape))
    head = _encode(_reply({"shape": outputs.shape, "parameters": {"binary_data_size": outputs.nbytes}}))
    return head + outputs.tobytes(), len(head)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer every request as one of ``infer``."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    length = dict(scope["headers"]).get(b"inference-header-content-length")
    headers = []
    if length is None:
        content = answer_json(body)
    else:
        content, size = answer_binary(body, int(length))
        headers.append((b"inference-header-content-length", b"%d" % size))
    headers.append((b"content-length", b"%d" % len(content)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def answer_message(asked: v2.ModelInferRequest) -> v2.ModelInferResponse:
    shape = list(asked.inputs[0].shape)
    outputs = _run(np.frombuffer(asked.raw_input_contents[0], "<f4").reshape(shape))
    described = v2.ModelInferResponse.InferOutputTensor(name="probabilities", datatype="FP32", shape=outputs.shape)
    return v2.ModelInferResponse(model_name="floor", outputs=[described], raw_output_contents=[outputs.tobytes()])


async def _answer_message(asked: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
    return answer_message(asked)


def _service(behaviour: Any) -> grpc.GenericRpcHandler:
    service, method = METHOD
    handler = grpc.unary_unary_rpc_method_handler(
        behaviour, v2.ModelInferRequest.FromString, v2.ModelInferResponse.SerializeToString
    )
    return grpc.method_handlers_generic_handler(service, {method: handler})


async def _serve_aio(address: str) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_service(_answer_message),))
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    address = f"127.0.0.1:{port}"
    match kind:
        case "asgi":
            uvicorn.run(app, port=port, log_level="warning", access_log=False, lifespan="off", server_header=False)
        case "aio":
            asyncio.run(_serve_aio(address))
        case "threads":
            server = grpc.server(ThreadPoolExecutor(THREADS))
            server.add_generic_rpc_handlers((_service(lambda asked, context: answer_message(asked)),))
            server.add_insecure_port(address)
            server.start()
            server.wait_for_termination()


if __name__ == "__main__":
    main()
