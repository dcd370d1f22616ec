"""MLServer with a runtime of its own for ONNX. Run as ``python serve_mlserver.py PORT``; PEER_MODEL names the graph."""

import json
import os
import sys
import tempfile
from pathlib import Path

import onnxruntime
from mlserver import MLModel
from mlserver.cli import main
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Onnx(MLModel):
    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["PEER_MODEL"], options)
        self._input = self._session.get_inputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype("float32")
        (outputs,) = self._session.run(None, {self._input: rows})
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", outputs)])


if __name__ == "__main__":
    port = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
        Path(folder, "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0, "debug": False}))
        model = {"name": "numbers", "implementation": "serve_mlserver.Onnx"}
        Path(folder, "model-settings.json").write_text(json.dumps(model))
        sys.argv = ["mlserver", "start", folder]
        main()
