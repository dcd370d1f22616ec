"""A small builder of ONNX graphs: nodes in order, constants shared, what the output does not need left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

ML = "ai.onnx.ml"
OPSETS = {"": 17, ML: 3}
IR_VERSION = 9


class OnnxGraph:
    """Collects nodes. Tensors are names; those it makes never collide with the names of inputs."""

    def __init__(self, inputs: dict[str, bool]) -> None:
        """``inputs``: name -> whether it holds text (string [N,1]) rather than numbers (float32 [N,1])."""
        self.inputs = inputs
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._tensors: list[onnx.TensorProto] = []
        self._count = 0

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Append a node; the name of its output."""
        from onnx import helper

        output = self._fresh()
        node = helper.make_node(operator, list(inputs), [output], name=output, domain=domain)
        for name, value in attributes.items():
            node.attribute.append(_attribute(name, value))
        self._nodes.append(node)
        return output

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """A tensor that is part of the graph."""
        from onnx import numpy_helper

        array = np.ascontiguousarray(values, dtype=dtype).reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self._fresh()
            self._tensors.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def concat(self, tensors: Sequence[str]) -> str:
        """Columns side by side."""
        return tensors[0] if len(tensors) == 1 else self.add("Concat", *tensors, axis=1)

    def finish(self, tensor: str, name: str, width: int) -> bytes:
        """The model with ``tensor`` as its one output, float32 [N,width], called ``name`` (or ``name_`` if taken)."""
        from onnx import TensorProto, helper

        while name in self.inputs:
            name += "_"
        self._nodes.append(helper.make_node("Identity", [tensor], [name], name=self._fresh()))
        nodes, needed = self._needed(name)
        graph = helper.make_graph(
            nodes,
            "rowcast",
            [
                helper.make_tensor_value_info(key, TensorProto.STRING if text else TensorProto.FLOAT, ["N", 1])
                for key, text in self.inputs.items()
            ],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])],
            [constant for constant in self._tensors if constant.name in needed],
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="rowcast")
        return bytes(model.SerializeToString())

    def _needed(self, output: str) -> tuple[list[Any], set[str]]:
        needed, kept = {output}, []
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                needed.update(node.input)
                kept.append(node)
        return kept[::-1], needed

    def _fresh(self) -> str:
        while True:
            self._count += 1
            name = f"t{self._count}"
            if name not in self.inputs:
                return name


def _attribute(name: str, value: Any) -> onnx.AttributeProto:
    """Like onnx.helper.make_attribute, but fast for the long lists of a forest (arrays and lists of bytes)."""
    from onnx import AttributeProto, helper

    if isinstance(value, np.ndarray):
        attribute = AttributeProto(name=name)
        if value.dtype.kind == "f":
            attribute.type = AttributeProto.FLOATS
            attribute.floats.extend(value.tolist())
        else:
            attribute.type = AttributeProto.INTS
            attribute.ints.extend(value.tolist())
        return attribute
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        attribute = AttributeProto(name=name, type=AttributeProto.STRINGS)
        attribute.strings.extend(value)
        return attribute
    return helper.make_attribute(name, value)
