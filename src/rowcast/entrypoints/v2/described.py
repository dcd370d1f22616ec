"""Models as the protocol describes them."""

from __future__ import annotations

from typing import Any

from rowcast import __version__
from rowcast.datasets.schema import Kind
from rowcast.entrypoints.v2.outputs import forms_of
from rowcast.entrypoints.v2.tensors import TEXT
from rowcast.scoring.loaded import LoadedModel

SERVER = {
    "name": "rowcast",
    "version": __version__,
    "extensions": ["binary_tensor_data", "classification", "model_repository", "model_configuration", "statistics"],
}
PLATFORM = "onnxruntime_onnx"
_CONFIG_TYPES = {TEXT: "TYPE_STRING"}


def metadata(model: LoadedModel, versions: list[int]) -> dict[str, Any]:
    """One input per feature, of FP32 for numbers and BYTES for all else, each [-1, 1]."""
    return {
        "name": model.name,
        "versions": [str(number) for number in sorted(versions)],
        "platform": PLATFORM,
        "inputs": [{"name": name, "datatype": datatype, "shape": [-1, 1]} for name, datatype in _inputs(model)],
        "outputs": [
            {"name": form.name, "datatype": form.datatype, "shape": [-1, form.columns]} for form in forms_of(model)
        ],
    }


def config(model: LoadedModel) -> dict[str, Any]:
    """The model as Triton would have it configured: rows are the first dimension of every tensor."""
    return {
        "name": model.name,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "version_policy": {"specific": {"versions": [model.number]}},
        "max_batch_size": 0,
        "input": [
            {"name": name, "data_type": _config_type(datatype), "dims": [-1, 1], "optional": True}
            for name, datatype in _inputs(model)
        ],
        "output": [
            {"name": form.name, "data_type": _config_type(form.datatype), "dims": [-1, form.columns]}
            for form in forms_of(model)
        ],
    }


def _inputs(model: LoadedModel) -> list[tuple[str, str]]:
    return [(one.name, "FP32" if one.kind is Kind.NUMBER else TEXT) for one in model.schema.features]


def _config_type(datatype: str) -> str:
    return _CONFIG_TYPES.get(datatype, f"TYPE_{datatype}")
