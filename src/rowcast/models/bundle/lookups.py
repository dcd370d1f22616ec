"""The quicker form of a model: its graph without the tables of categories, which are looked up in dictionaries instead.

Onnxruntime makes a string of its own of every cell before it looks it up, and binds every input by itself: with one
matrix of numbers a single row takes half the time. What is computed is the same to the bit, or there is no such form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.cell_readers import Code
from rowcast.datasets.columns import Stacked

if TYPE_CHECKING:
    import onnx

MOST_ROWS = 2**24
"""Of values: float32 counts no further."""

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
class _Several:
    """What several tables make of the texts of one feature, looked up once: a text's ``code`` is a row of values."""

    rows: dict[str, float]
    other: float

    def code(self, text: str) -> float:
        return self.rows.get(text, self.other)


class Matrix:
    """Model inputs as the one matrix [N, numbers and tables] that the graph takes."""

    def __init__(self, numbers: Sequence[str], tables: Sequence[Table]) -> None:
        self._numbers = numbers
        self._tables = tables
        of: dict[str, list[Table]] = {}
        for table in tables:
            of.setdefault(table.feature, []).append(table)
        self.codes: dict[str, Code] = {feature: own[0].code for feature, own in of.items() if len(own) == 1}
        """For whoever reads rows, what to make of a text of each category; see ``of``."""
        self._read = [*numbers, *self.codes]
        self._plain = len(self._read)
        several = {feature: own for feature, own in of.items() if len(own) > 1}
        self._values = np.empty((0, max(map(len, several.values()), default=0)), dtype=np.float32)
        for feature, own in several.items():
            self.codes[feature] = self._added(own).code
        self._read += several
        self._order = self._places(several)

    def to_json(self) -> dict[str, Any]:
        return {"numbers": self._numbers, "tables": [asdict(table) for table in self._tables]}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Matrix:
        return Matrix(data["numbers"], [Table(**table) for table in data["tables"]])

    @cached_property
    def columns(self) -> list[str]:
        """The features of the columns."""
        return [*self._numbers, *(table.feature for table in self._tables)]

    def column_of(self, feature: str) -> int | None:
        """Where in the matrix the feature is, in the first place."""
        return self.columns.index(feature) if feature in self.columns else None

    def of(self, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """From arrays [N,1] by feature, those of categories with texts or with their codes."""
        if isinstance(inputs, Stacked):
            read = inputs.in_order(self._read)
        else:
            read = np.concatenate([self._numeric(name, inputs[name]) for name in self._read], axis=1)
        if self._order is None:
            return read
        rows = self._values.take(read[:, self._plain :].astype(np.intp), axis=0)
        rows = rows.reshape(len(read), rows.shape[1] * rows.shape[2])
        return np.concatenate([read[:, : self._plain], rows], axis=1).take(self._order, axis=1)

    def _numeric(self, name: str, column: NDArray[Any]) -> NDArray[Any]:
        if column.dtype != object:
            return column
        codes = map(self.codes[name], column[:, 0].tolist())
        return np.fromiter(codes, np.float32, len(column)).reshape(-1, 1)

    def _added(self, tables: Sequence[Table]) -> _Several:
        """The tables as rows of values, one for each text that any of them knows and one for all others."""
        first = len(self._values)
        texts = list(dict.fromkeys(text for table in tables for text in table.values))
        values = np.zeros((len(texts) + 1, self._values.shape[1]), dtype=np.float32)
        for place, table in enumerate(tables):
            values[:, place] = [*map(table.code, texts), table.other]
        self._values = np.concatenate([self._values, values])
        if len(self._values) > MOST_ROWS:
            raise ValueError("there are more texts than float32 can count")
        rows = {text: float(first + row) for row, text in enumerate(texts)}
        return _Several(rows, float(first + len(texts)))

    def _places(self, several: Mapping[str, Sequence[Table]]) -> NDArray[np.intp] | None:
        """Where the columns that the graph takes are beside one another in what was read and the rows of values; None
        where nothing has such rows."""
        if not several:
            return None
        at = {feature: self._plain + place * self._values.shape[1] for place, feature in enumerate(several)}
        at |= {feature: place for place, feature in enumerate(self._read[: self._plain])}
        order = []
        for feature in self.columns:
            order.append(at[feature])
            at[feature] += 1
        return np.array(order, dtype=np.intp)


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
