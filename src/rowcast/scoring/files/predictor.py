"""XGBoost's predictor by its C interface.

Its Python package imports pandas and scikit-learn, which takes a second: as long as a third of a million rows.
"""

from __future__ import annotations

import ctypes
import json
from importlib.util import find_spec
from pathlib import Path
from weakref import finalize

import numpy as np

from rowcast.models.encode.inputs import Floats

_MARGINS = (
    b'{"type": 1, "training": false, "iteration_begin": 0, "iteration_end": 0, "strict_shape": true, "missing": NaN}'
)


class Predictor:
    """A model in the format of ``xgboost.Booster.load_model``. Safe to use from any number of threads."""

    def __init__(self, model: bytes) -> None:
        self._library = _library()
        self._handle = ctypes.c_void_p()
        self._call("XGBoosterCreate", None, ctypes.c_uint64(0), ctypes.byref(self._handle))
        finalize(self, self._library.XGBoosterFree, self._handle)
        self._call("XGBoosterLoadModelFromBuffer", self._handle, model, ctypes.c_uint64(len(model)))
        self._call("XGBoosterSetParam", self._handle, b"nthread", b"1")

    def margins(self, rows: Floats) -> Floats:
        """Sums of the trees [N,outputs] for rows [N,D], in the thread that calls."""
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        interface = {"data": [rows.ctypes.data, True], "shape": rows.shape, "typestr": "<f4", "version": 3}
        shape, dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        found = ctypes.POINTER(ctypes.c_float)()
        self._call(
            "XGBoosterPredictFromDense", self._handle, json.dumps(interface).encode(), _MARGINS, None,
            ctypes.byref(shape), ctypes.byref(dimensions), ctypes.byref(found),
        )  # fmt: skip
        # The library keeps the result until this thread's next call.
        return np.ctypeslib.as_array(found, tuple(shape[: dimensions.value])).copy().reshape(len(rows), -1)

    def _call(self, function: str, *arguments: object) -> None:
        """Raise ValueError, without the library's own words, where it refuses."""
        if getattr(self._library, function)(*arguments):
            raise ValueError(f"{function} failed")


def _library() -> ctypes.CDLL:
    """The shared library in the package, which is found without being imported."""
    package = find_spec("xgboost")
    folders = package.submodule_search_locations if package else None
    for folder in folders or ():
        for name in ("libxgboost.so", "libxgboost.dylib", "xgboost.dll"):
            if (path := Path(folder) / "lib" / name).exists():
                return ctypes.CDLL(str(path))
    raise ValueError("xgboost's library is not where its package keeps it")
