"""A model version that answers thousands of rows at a time, to the bit as it answers a prediction call.

What is served is one ONNX graph for the whole pipeline, at its best with few rows. For many, a model of trees is taken
apart: categories are looked up once for each distinct one instead of for each row, the trees are run by ``trees.py``,
and what follows them is the served graph's own end. Onnxruntime's own threads would add up in another order, so none
are used: parts of a file run side by side instead. The first rows of every part go through the served graph as well.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rowcast.models.bundle.contents import NATIVE, ONNX, Bundle
from rowcast.models.bundle.native import load_encoders
from rowcast.models.bundle.runtime import OnnxRuntime, Runtime, open_runtime
from rowcast.models.encode.encoder import Encoder
from rowcast.models.encode.inputs import Column, Floats, feeds, row_count, take
from rowcast.scoring.files.trees import OPERATOR, Trees

if TYPE_CHECKING:
    import onnx

BATCH_ROWS = 2000
"""Rows that the served graph is given at once: more of them no longer fit the processor's caches."""

CHECKED_ROWS = 200

log = logging.getLogger(__name__)


class BulkModel:
    """Safe to use from any number of threads; each call runs in the thread that makes it."""

    def __init__(self, runtime: Runtime, apart: TakenApart | None) -> None:
        self._runtime = runtime
        self._apart = apart

    @staticmethod
    def open(bundle: Bundle) -> BulkModel:
        """The bundle's model; as it is served where it cannot be taken apart."""
        return BulkModel(open_runtime(bundle), _taken_apart(bundle))

    def run(self, inputs: Mapping[str, Column]) -> Floats:
        """Probabilities float32 [N,K] or numbers float32 [N,1], as the served runtime gives them."""
        if self._apart is not None:
            outputs = self._apart.run(inputs)
            if np.array_equal(outputs[:CHECKED_ROWS], self._served(inputs, CHECKED_ROWS), equal_nan=True):
                return outputs
            log.warning("a model taken apart does not answer as it is served: it is used whole")
        return self._served(inputs, row_count(inputs))

    def _served(self, inputs: Mapping[str, Column], most: int) -> Floats:
        """Outputs of the first rows."""
        count = min(most, row_count(inputs))
        starts = range(0, count, BATCH_ROWS) or range(1)
        parts = (np.arange(start, min(start + BATCH_ROWS, count)) for start in starts)
        return np.concatenate([self._runtime.run(feeds(take(inputs, rows))) for rows in parts])


@dataclass(frozen=True)
class TakenApart:
    """The encoders and trees of a model's members, and the end of its graph with the inputs that take their sums."""

    encoders: list[Encoder]
    trees: list[Trees]
    end: OnnxRuntime
    names: list[str]

    def run(self, inputs: Mapping[str, Column]) -> Floats:
        """The model's outputs."""
        sums = [trees.sums(encoder.transform(inputs)) for encoder, trees in zip(self.encoders, self.trees, strict=True)]
        return self.end.run(dict(zip(self.names, sums, strict=True)))


def _taken_apart(bundle: Bundle) -> TakenApart | None:
    """None for a model that is no trees, or none that can be taken apart."""
    if bundle.manifest.runtime != "onnx":
        return None
    import onnx

    model = onnx.load(bundle.folder / ONNX)
    nodes = [node for node in model.graph.node if node.op_type == OPERATOR]
    if not nodes:
        return None
    encoders = load_encoders(bundle.folder / NATIVE)
    try:
        widths = (len(encoder.sources()) for encoder in encoders)
        trees = [Trees.of(node, width) for node, width in zip(nodes, widths, strict=True)]
    except ValueError as error:
        log.info("the model is used whole: %s", error)
        return None
    names = [node.output[0] for node in nodes]
    widths_out = [len(ensemble.base) for ensemble in trees]
    return TakenApart(encoders, trees, OnnxRuntime(_end(model, names, widths_out)), names)


def _end(model: onnx.ModelProto, sums: list[str], widths: list[int]) -> bytes:
    """What the graph makes of the sums of its ensembles, as a graph of its own."""
    from onnx import TensorProto, helper

    graph = model.graph
    needed, nodes = {graph.output[0].name}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output) and not set(sums).intersection(node.output):
            needed.update(node.input)
            nodes.append(node)
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
        for name, width in zip(sums, widths, strict=True)
    ]
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    end = helper.make_graph(nodes[::-1], "end", inputs, [graph.output[0]], constants)
    made = helper.make_model(end, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    return bytes(made.SerializeToString())
