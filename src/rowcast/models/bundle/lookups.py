"""The quicker form of a model: its graph without the tables of categories, which are looked up in dictionaries instead.

Onnxruntime makes a string of its own of every cell before it looks it up, and binds every input by itself: with one
matrix of numbers a single row takes half the time. What is computed is the same to the bit, or there is no such form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.cell_readers import Code
from rowcast.datasets.columns import Stacked

if TYPE_CHECKING:
    import onnx

LARGEST_BYTES = 50 * 2**20
"""Of a graph that is worth to be stored in a second form; in larger ones the trees take the time."""


@dataclass(frozen=True)
class Table:
    """What the graph makes of the texts of one feature; ``other`` for those that it does not know."""

    feature: str
    values: dict[str, float]
    other: float

    def code(self, text: str) -> float:
        return self.values.get(text, self.other)


@dataclass(frozen=True)
class Matrix:
    """Model inputs as the one matrix [N, numbers and tables] that the graph takes."""

    numbers: Sequence[str]
    tables: Sequence[Table]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Matrix:
        return Matrix(data["numbers"], [Table(**table) for table in data["tables"]])

    @property
    def codes(self) -> dict[str, Code]:
        """For whoever reads rows, the codes of the features that have one table; others are looked up here."""
        features = [table.feature for table in self.tables]
        return {table.feature: table.code for table in self.tables if features.count(table.feature) == 1}

    @cached_property
    def columns(self) -> list[str]:
        """The features of the columns."""
        return [*self.numbers, *(table.feature for table in self.tables)]

    def column_of(self, feature: str) -> int | None:
        """Where in the matrix the feature is, in the first place."""
        return self.columns.index(feature) if feature in self.columns else None

    def of(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """From arrays [N,1] by feature, those of categories with texts or with their codes."""
        if isinstance(inputs, Stacked):
            return inputs.in_order(self.columns)
        columns = [inputs[name] for name in self.numbers]
        columns += [_looked_up(table, inputs[table.feature]) for table in self.tables]
        return np.concatenate(columns, axis=1)


def _looked_up(table: Table, column: NDArray[Any]) -> NDArray[Any]:
    if column.dtype != object:
        return column
    codes = map(table.values.get, column[:, 0].tolist(), repeat(table.other))
    return np.fromiter(codes, np.float32, len(column)).reshape(-1, 1)


def taken_out(content: bytes) -> tuple[bytes, Matrix] | None:
    """The graph without its tables, and what makes its matrix; None for one that does something else with texts."""
    if len(content) > LARGEST_BYTES:
        return None
    import onnx
    from onnx import TensorProto

    model = onnx.load_from_string(content)
    inputs = {one.name: one.type.tensor_type.elem_type == TensorProto.STRING for one in model.graph.input}
    tables = {node.output[0]: _table(node) for node in model.graph.node if inputs.get(next(iter(node.input), ""))}
    known = {name: table for name, table in tables.items() if table is not None}
    others = [node for node in model.graph.node if not known.keys() & set(node.output)]
    if any(inputs.get(name) for node in others for name in node.input):
        return None
    numbers = [name for name, text in inputs.items() if not text]
    _replace_inputs(model.graph, others, [*numbers, *known])
    return bytes(model.SerializeToString()), Matrix(numbers, list(known.values()))


def _replace_inputs(graph: onnx.GraphProto, nodes: list[onnx.NodeProto], columns: list[str]) -> None:
    """Let the graph be these nodes, with the tensors ``columns`` as those of one matrix."""
    from onnx import TensorProto, helper

    name = "matrix"
    while name in columns or any(name in node.output for node in nodes):
        name += "_"
    split = helper.make_node("Split", [name], columns, axis=1)
    del graph.input[:], graph.node[:]
    graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(columns)]))
    graph.node.extend([split, *nodes])


def _table(node: onnx.NodeProto) -> Table | None:
    """The table of texts to numbers that a node is, if it is one."""
    given = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type != "LabelEncoder" or not {"keys_strings", "values_floats"} <= given.keys():
        return None
    levels = [level.decode() for level in given["keys_strings"].strings]
    values = dict(zip(levels, given["values_floats"].floats, strict=True))
    other = given["default_float"].f if "default_float" in given else -0.0
    return Table(node.input[0], values, other) if np.isfinite([*values.values(), other]).all() else None
