"""``mlflow models serve`` of the graph as a model of MLflow. Run as ``python serve_mlflow.py PORT``; PEER_MODEL names
the graph."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mlflow.onnx
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

if __name__ == "__main__":
    graph = onnx.load(os.environ["PEER_MODEL"])
    taken = graph.graph.input[0]
    columns = taken.type.tensor_type.shape.dim[1].dim_value
    given = Schema([TensorSpec(np.dtype(np.float32), (-1, columns), taken.name)])
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model")
        mlflow.onnx.save_model(graph, model, signature=ModelSignature(inputs=given))
        command = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "-m", str(model)]
        subprocess.run([*command, "--env-manager", "local", "--workers", "1", "-p", sys.argv[1]], check=True)
