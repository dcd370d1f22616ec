"""Ray Serve. Run as ``python serve_ray.py PORT``; PEER_MODEL names the graph."""

import os
import signal
import sys

import numpy as np
import onnxruntime
import ray
from ray import serve


@serve.deployment(num_replicas=1, max_ongoing_requests=64)
class Onnx:
    def __init__(self, graph):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options)
        self._input = self._session.get_inputs()[0].name

    async def __call__(self, request):
        rows = np.array((await request.json())["rows"], dtype=np.float32)
        return {"predictions": self._session.run(None, {self._input: rows})[0].tolist()}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Onnx.bind(os.environ["PEER_MODEL"]))
    signal.pause()
