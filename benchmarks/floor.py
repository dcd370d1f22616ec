"""The floor: a bare ASGI application on the same server, which parses the same JSON, runs the same ONNX and answers.

No key, no validation, no journal, no names in the answer: what any server has to spend at least.
Run as ``python -m benchmarks.floor PORT`` with FLOOR_BUNDLE naming the exported bundle; several may share a port.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import uvicorn

FOLDER = Path(os.environ["FLOOR_BUNDLE"])
KINDS = {feature["name"]: feature["kind"] for feature in json.loads((FOLDER / "schema.json").read_text())["features"]}

_options = onnxruntime.SessionOptions()
_options.intra_op_num_threads = 1
_session = onnxruntime.InferenceSession(FOLDER / "model.onnx", _options)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def _column(rows: list[dict[str, Any]], name: str, kind: str) -> Any:
    values = [row[name] for row in rows]
    if kind == "category":
        return np.array(values, dtype=object).reshape(-1, 1)
    return np.array(values, dtype=np.float32).reshape(-1, 1)


def answer(body: bytes) -> bytes:
    """The JSON of the model's outputs for the rows in a JSON body."""
    rows = _decode(body)["rows"]
    inputs = {name: _column(rows, name, kind) for name, kind in KINDS.items()}
    (outputs,) = _session.run(None, inputs)
    return _encode({"predictions": outputs.tolist()})


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer every request as a prediction of the rows in its body."""
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    content = answer(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def main() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", int(sys.argv[1])))
        listener.listen(2048)
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", server_header=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
