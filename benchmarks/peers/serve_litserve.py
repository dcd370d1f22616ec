"""LitServe. Run as ``python serve_litserve.py PORT``; PEER_MODEL names the graph."""

import os
import sys

import litserve
import numpy as np
import onnxruntime


class Onnx(litserve.LitAPI):
    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["PEER_MODEL"], options)
        self._input = self._session.get_inputs()[0].name

    def decode_request(self, request):
        return np.array(request["rows"], dtype=np.float32)

    def predict(self, rows):
        return self._session.run(None, {self._input: rows})[0]

    def encode_response(self, outputs):
        return {"predictions": outputs.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Onnx(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="warning"
    )
