"""ONNX models of others: their graph within one that takes an input for each feature and gives one output."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper

from rowcast.datasets.schema import Feature, Kind
from rowcast.models.bundle.contents import Parity
from rowcast.models.bundle.runtime import OnnxRuntime, difference
from rowcast.models.encode.inputs import feeds
from rowcast.models.importing.foreign import Converted, Foreign, probe, refused
from rowcast.models.recipe import Problem

_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_PREFIX = "foreign/"
_SAME = 1e-5
_SUM = 1e-3
"""How far the probabilities of a row may be from a sum of 1."""

_NUMERIC = frozenset(
    {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.FLOAT16}
)
_DTYPES = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64, TensorProto.INT64: np.int64,
           TensorProto.INT32: np.int32, TensorProto.BOOL: np.bool_, TensorProto.FLOAT16: np.float16}  # fmt: skip


def onnx_model(path: Path, foreign: Foreign) -> Converted:
    """From an ONNX file: tables of numbers in one input, or one input for each column.

    Raises:
        InvalidInput: it has operators of its own, takes something else than columns, or it is unclear what it answers.
    """
    model = onnx.load(path, load_external_data=False)
    _check(model)
    inputs = [one for one in model.graph.input if one.name not in {tensor.name for tensor in model.graph.initializer}]
    features = _features(inputs, foreign)
    columns = feeds(probe(features, foreign.rows))
    answers = _answers(model, inputs, features, columns)
    name, width, classes = _chosen(model, answers)
    wrapped = _wrapped(model, inputs, features, name, width)
    found = _run(wrapped, columns)
    expected = answers[name].reshape(len(found), -1).astype(np.float32)
    furthest = difference(expected, found)
    if not furthest <= _SAME:
        raise refused("model_not_reproduced", "It answers otherwise when it is given its columns one by one.")
    problem = Problem.REGRESSION if width == 1 else Problem.BINARY if width == 2 else Problem.MULTICLASS
    parity = Parity(max_difference=furthest, rows=len(found), passed=True)
    return Converted("onnx", features, problem, classes, wrapped, parity)


def _run(wrapped: bytes, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    try:
        return OnnxRuntime(wrapped).run(columns)
    except Exception as error:
        raise refused("model_does_not_run", f"It does not run column by column ({type(error).__name__}).") from error


def _check(model: onnx.ModelProto) -> None:
    domains = {node.domain for node in model.graph.node} | {one.domain for one in model.opset_import}
    if not domains <= _DOMAINS:
        raise refused("operators_unknown", "It needs operators that are not part of ONNX. Export it without them.")
    if any(tensor.data_location == TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise refused("weights_elsewhere", "Its weights are in other files. Export it as one file.")


def _features(inputs: list[Any], foreign: Foreign) -> list[Feature]:
    types = [one.type.tensor_type.elem_type for one in inputs]
    flat = any(len(one.type.tensor_type.shape.dim) != 2 for one in inputs)
    if not inputs or flat or not all(kind in _NUMERIC or kind == TensorProto.STRING for kind in types):
        raise refused("inputs_unknown", "It does not take tables of numbers and texts, in two dimensions.")
    if len(inputs) == 1 and types[0] in _NUMERIC:
        return foreign.named(None, _width(inputs[0]) or len(foreign.features or []))
    own = [
        Feature(name=one.name, kind=Kind.CATEGORY if kind == TensorProto.STRING else Kind.NUMBER, may_be_missing=False)
        for one, kind in zip(inputs, types, strict=True)
    ]
    known = {feature.name: feature for feature in foreign.features or []}
    return [known.get(feature.name, feature).model_copy(update={"kind": feature.kind}) for feature in own]


def _width(one: Any) -> int | None:
    return int(one.type.tensor_type.shape.dim[1].dim_value) or None


def _answers(
    model: onnx.ModelProto, inputs: list[Any], features: list[Feature], columns: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """What the model itself answers, by tensor: probabilities in maps as the tensor that these are made of."""
    import onnxruntime

    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for node in [node for node in bare.graph.node if node.op_type == "ZipMap"]:
        place = next(place for place, one in enumerate(bare.graph.output) if one.name == node.output[0])
        bare.graph.output[place].CopyFrom(helper.make_tensor_value_info(node.input[0], TensorProto.FLOAT, None))
        bare.graph.node.remove(node)
    try:
        session = onnxruntime.InferenceSession(bare.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [one.name for one in session.get_outputs()]
        return dict(zip(names, session.run(names, _fed(inputs, features, columns)), strict=True))
    except Exception as error:
        raise refused("model_does_not_run", f"It does not run on a table ({type(error).__name__}).") from error


def _fed(inputs: list[Any], features: list[Feature], columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    if len(inputs) == 1 and len(features) != 1:
        matrix = np.concatenate([columns[feature.name] for feature in features], axis=1)
        return {inputs[0].name: matrix.astype(_DTYPES[inputs[0].type.tensor_type.elem_type])}
    given = {}
    for one, feature in zip(inputs, features, strict=True):
        kind, column = one.type.tensor_type.elem_type, columns[feature.name]
        given[one.name] = column if kind == TensorProto.STRING else column.astype(_DTYPES[kind])
    return given


def _chosen(model: onnx.ModelProto, answers: dict[str, NDArray[Any]]) -> tuple[str, int, list[str]]:
    """The output that is the prediction, its width, and the classes whose probabilities it has.

    Raises:
        InvalidInput: there is none, or more than one that could be it.
    """
    numeric = {name: array for name, array in answers.items() if array.dtype.kind == "f" and len(array)}
    shares = {name: array for name, array in numeric.items() if _are_probabilities(array)}
    if len(shares) == 1:
        name, array = next(iter(shares.items()))
        return name, array.shape[1], _classes(model, array.shape[1])
    numbers = [name for name, array in numeric.items() if array.size == len(array)]
    if not shares and len(numbers) == 1 and len(numeric) == 1:
        return numbers[0], 1, []
    raise refused("outputs_unknown", "It is not known which of its outputs holds probabilities, or one number a row.")


def _are_probabilities(array: NDArray[Any]) -> bool:
    if array.ndim != 2 or array.shape[1] < 2 or not np.isfinite(array).all():
        return False
    return bool((array >= -_SUM).all() and (np.abs(array.sum(axis=1) - 1) <= _SUM).all())


def _classes(model: onnx.ModelProto, count: int) -> list[str]:
    """The labels that some operator of the graph gives them, else numbers from 0."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("classlabels_strings", "classlabels_int64s", "classlabels_ints"):
                labels = [text.decode() for text in attribute.strings] or [str(number) for number in attribute.ints]
                if len(labels) == count:
                    return labels
        if node.op_type == "ArrayFeatureExtractor" and node.input[0] in constants:
            values = onnx.numpy_helper.to_array(constants[node.input[0]]).ravel().tolist()
            if len(values) == count:
                return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    return [str(place) for place in range(count)]


def _wrapped(model: onnx.ModelProto, inputs: list[Any], features: list[Feature], output: str, width: int) -> bytes:
    """The graph with an input [N,1] for each feature and one output float32 [N,width]."""
    inner = compose.add_prefix(model, _PREFIX)
    matrix = len(inputs) == 1 and len(features) != 1
    before = _joined(inputs[0], features) if matrix else list(map(_given, inputs, features))
    name = "prediction" if width == 1 else "probabilities"
    while name in {feature.name for feature in features}:
        name += "_"
    after = [
        helper.make_node("Cast", [_PREFIX + output], ["outer/float"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["outer/float", "outer/shape"], [name]),
    ]
    kept = [node for node in inner.graph.node if node.op_type != "ZipMap"]
    graph = helper.make_graph(
        [*before, *kept, *after],
        "rowcast",
        [helper.make_tensor_value_info(feature.name, _type_of(feature), ["N", 1]) for feature in features],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])],
        [*inner.graph.initializer, onnx.numpy_helper.from_array(np.array([-1, width]), "outer/shape")],
    )
    opsets = list(inner.opset_import)
    if not any(one.domain in ("", "ai.onnx") for one in opsets):
        opsets.append(helper.make_opsetid("", 13))
    made = helper.make_model(graph, opset_imports=opsets, ir_version=inner.ir_version, producer_name="rowcast")
    made.functions.extend(inner.functions)
    return bytes(made.SerializeToString())


def _type_of(feature: Feature) -> int:
    return int(TensorProto.STRING if feature.kind is Kind.CATEGORY else TensorProto.FLOAT)


def _joined(one: Any, features: list[Feature]) -> list[Any]:
    names = [feature.name for feature in features]
    kind = one.type.tensor_type.elem_type
    join = helper.make_node("Concat", names, ["outer/matrix"], axis=1)
    return [join, helper.make_node("Cast", ["outer/matrix"], [_PREFIX + one.name], to=kind)]


def _given(one: Any, feature: Feature) -> Any:
    """A feature as an input of the model takes it."""
    kind, inner = one.type.tensor_type.elem_type, _PREFIX + one.name
    if kind == TensorProto.STRING:
        return helper.make_node("Identity", [feature.name], [inner])
    return helper.make_node("Cast", [feature.name], [inner], to=kind)
