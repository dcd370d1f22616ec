"""Runtimes: what turns a bundle into predictions. ONNX as a rule, the native libraries where ONNX was refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.cell_readers import Code
from rowcast.errors import Conflict
from rowcast.models.bundle.contents import EVALUATION, NATIVE, ONNX, QUICK, TABLES, TOLERANCE, Bundle, evaluation
from rowcast.models.bundle.lookups import Matrix

if TYPE_CHECKING:
    from rowcast.models.bundle.native import NativeModel

_MANY = 64
"""Rows from which on putting them in order takes less time than it saves."""

Feeds = Mapping[str, NDArray[Any]]
"""By feature: float32 [N,1] with NaN for missing, or for a category an object array of str with "" for missing."""


class Runtime(Protocol):
    """Answers rows: probabilities float32 [N,K] in the order of the classes, or numbers float32 [N,1].

    It may be fed a category in ``codes`` as float32 [N,1] of these too.
    """

    codes: Mapping[str, Code]

    def run(self, inputs: Feeds) -> NDArray[np.float32]: ...


class OnnxRuntime:
    """The whole pipeline in onnxruntime. May be used from several threads."""

    codes: Mapping[str, Code] = MappingProxyType({})

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        source = model if isinstance(model, bytes) else str(model)
        self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self._outputs = [self._session.get_outputs()[0].name]

    @property
    def input_names(self) -> list[str]:
        return [one.name for one in self._session.get_inputs()]

    def run(self, inputs: Feeds) -> NDArray[np.float32]:
        feeds = inputs if isinstance(inputs, dict) else dict(inputs)
        answer: NDArray[np.float32] = self._session.run(self._outputs, feeds)[0]
        return answer


class MatrixRuntime:
    """The same from the quicker form of the pipeline: see ``lookups``.

    ``alike`` is the feature by which many rows are put in order before they are run, where there is one: those that
    follow one another then take the same turns in most trees, and the processor foresees them.
    """

    def __init__(self, graph: Path | bytes, matrix: Matrix, threads: int = 1, alike: str | None = None) -> None:
        self.codes: Mapping[str, Code] = matrix.codes
        self._matrix = matrix
        self._graph = OnnxRuntime(graph, threads)
        (self._name,) = self._graph.input_names
        self._order_by = None if alike is None else matrix.column_of(alike)

    @staticmethod
    def load(graph: Path, threads: int = 1, alike: str | None = None) -> MatrixRuntime:
        tables = json.loads(graph.with_name(TABLES).read_bytes())
        return MatrixRuntime(graph, Matrix.from_json(tables), threads, alike)

    def run(self, inputs: Feeds) -> NDArray[np.float32]:
        return self.run_rows(self.rows(inputs))

    def rows(self, inputs: Feeds) -> NDArray[np.float32]:
        """The matrix that the graph takes, [N, columns]."""
        return self._matrix.of(inputs)

    def run_rows(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same for such a matrix."""
        if self._order_by is None or len(rows) < _MANY:
            return self._graph.run({self._name: rows})
        order = rows[:, self._order_by].argsort()
        ordered = self._graph.run({self._name: rows[order]})
        answer = np.empty_like(ordered)
        answer[order] = ordered
        return answer


class NativeRuntime:
    """Encoder in numpy and the model in its own library: the mean of one or more such members, calibrated."""

    codes: Mapping[str, Code] = MappingProxyType({})

    def __init__(self, model: NativeModel) -> None:
        self._model = model

    @staticmethod
    def load(folder: Path, threads: int = 1) -> NativeRuntime:
        from rowcast.models.bundle.native import load_members

        return NativeRuntime(load_members(folder, threads))

    def run(self, inputs: Feeds) -> NDArray[np.float32]:
        from rowcast.models.encode.inputs import from_feeds
        from rowcast.models.train.member import mean_prediction

        return mean_prediction(self._model.members, from_feeds(inputs), self._model.calibration)


def open_runtime(bundle: Bundle, threads: int = 1) -> Runtime:
    """The runtime that the bundle says it is served by."""
    if bundle.manifest.runtime == "onnx":
        quick = bundle.folder / QUICK
        if quick.exists():
            return MatrixRuntime.load(quick, threads, _most_important(bundle))
        return OnnxRuntime(bundle.folder / ONNX, threads)
    return NativeRuntime.load(bundle.folder / NATIVE, threads)


def _most_important(bundle: Bundle) -> str | None:
    listed = evaluation(bundle).get("importance") if EVALUATION in bundle.manifest.files else None
    return max(listed, key=lambda entry: entry["mean"])["feature"] if listed else None


def difference(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """Largest difference of two outputs, relative to the largest of the expected where that is above 1."""
    if expected.shape != found.shape or not np.isfinite(found).all():
        return float("inf")
    if not expected.size:
        return 0.0
    scale = max(1.0, float(np.abs(expected).max()))
    return float(np.abs(expected.astype(np.float64) - found).max()) / scale


def golden_difference(bundle: Bundle, runtime: Runtime) -> float:
    """How far the runtime is from the bundle's golden outputs."""
    from rowcast.datasets.rows import RowReader

    inputs = RowReader(bundle.schema).read(bundle.golden.rows).inputs
    return difference(np.array(bundle.golden.outputs), runtime.run(inputs))


def check_golden(bundle: Bundle, runtime: Runtime) -> None:
    """Raise ``Conflict("bundle_not_reproduced")`` unless the golden rows give what they gave at first."""
    if golden_difference(bundle, runtime) > TOLERANCE:
        raise Conflict(
            "bundle_not_reproduced",
            "The model no longer answers its golden rows as it did when it was trained; "
            "restore the library versions in its manifest or train again.",
        )
