"""BentoML. Run as ``bentoml serve serve_bentoml:Onnx --port PORT``; PEER_MODEL names the graph."""

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1)
class Onnx:
    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["PEER_MODEL"], options)
        self._input = self._session.get_inputs()[0].name

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._input: rows.astype(np.float32)})[0]
