"""The job that makes a bundle of a model that is registered in MLflow. No code of the model is run here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from mlflow.types.schema import ColSpec, DataType, TensorSpec

from rowcast.adapters.tracking.connection import connect
from rowcast.adapters.tracking.sandbox import without_pickle
from rowcast.datasets.ports import Storage
from rowcast.datasets.schema import Feature, Kind
from rowcast.errors import InvalidInput, NotFound, RowcastError, Unavailable
from rowcast.models.bundle.contents import DatasetReference
from rowcast.models.importing.boosters import catboost_model, lightgbm_model, xgboost_model
from rowcast.models.importing.bundling import pack
from rowcast.models.importing.estimators import estimator_model
from rowcast.models.importing.foreign import Converted, Foreign
from rowcast.models.importing.graphs import onnx_model

_MOST_EXAMPLES = 50
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_NUMBERS = (DataType.double, DataType.float, DataType.integer, DataType.long)
_KINDS: dict[Any, Kind] = {
    DataType.boolean: Kind.FLAG,
    DataType.string: Kind.CATEGORY,
    **dict.fromkeys(_NUMBERS, Kind.NUMBER),
}
_PICKLED = ".pkl"
_GONE = ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)

_CONVERTERS: dict[tuple[str, str], Callable[[Path, Foreign], Converted]] = {
    ("onnx", ".onnx"): onnx_model,
    ("lightgbm", ".lgb"): lightgbm_model,
    ("lightgbm", ".skops"): estimator_model,
    ("xgboost", ".ubj"): xgboost_model,
    ("xgboost", ".json"): xgboost_model,
    ("catboost", ".cb"): catboost_model,
    ("sklearn", ".skops"): estimator_model,
}
"""By flavour and by the ending of the file that it is in."""


def import_model(storage: Storage, url: str, *, reference: str, bundle_prefix: str, pickled: bool) -> dict[str, Any]:
    """The outcome of an import, as a training has one, with one candidate. ``reference`` is ``name``, ``name@alias`` or
    ``name/version``; where it may be ``pickled``, the pickle is opened in the sandbox.

    Raises:
        NotFound: there is no such model, version or alias.
        InvalidInput: the model is not in a form that can be converted; the message says what to do.
        Unavailable: MLflow does not answer.
    """
    client = connect(url)
    name, version = _found(client, reference)
    with TemporaryDirectory() as folder:
        place = _downloaded(name, version, folder)
        converted, foreign, target = converted_at(place, pickled=pickled)
    storage.delete(bundle_prefix)  # what an interrupted run of the same task left
    source = DatasetReference(name=f"mlflow:{name}", version=version, content_hash="")
    candidate = pack(converted, foreign, source, target, storage, f"{bundle_prefix}/{converted.algorithm}")
    return {
        "problem": converted.problem.value,
        "primary_metric": "",
        "row_count": 0,
        "target": target,
        "left_out": [],
        "warnings": [],
        "candidates": [candidate],
    }


def _found(client: MlflowClient, reference: str) -> tuple[str, int]:
    """The name and the number of the version that is meant; of a bare name the newest."""
    try:
        if "@" in reference:
            name, _, alias = reference.rpartition("@")
            return name, int(client.get_model_version_by_alias(name, alias).version)
        name, _, number = reference.partition("/")
        if number and _NUMBER.fullmatch(number):
            return name, int(client.get_model_version(name, number).version)
        if not number:
            client.get_registered_model(name)
            numbers = [int(one.version) for one in client.search_model_versions(f"name='{_quoted(name)}'")]
            if numbers:
                return name, max(numbers)
    except MlflowException as error:
        if error.error_code not in (_GONE, "INVALID_PARAMETER_VALUE"):
            raise Unavailable("mlflow_unavailable", "MLflow does not answer as it should.") from error
    message = "MLflow has no such model, version or alias. Give NAME, NAME@alias or NAME/3."
    raise NotFound("mlflow_model_not_found", message)


def _quoted(name: str) -> str:
    return name.replace("'", "")


def _downloaded(name: str, version: int, folder: str) -> Path:
    try:
        return Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=folder))
    except Exception as error:
        message = "The files of the model cannot be fetched from where MLflow keeps them."
        raise Unavailable("mlflow_files_unavailable", message) from error


def converted_at(place: Path, *, pickled: bool = False) -> tuple[Converted, Foreign, str]:
    """The model in a folder of MLflow, what was said of it, and what its prediction is called."""
    try:
        described = Model.load(str(place))
        flavours = dict(described.flavors)
        foreign = Foreign(_features(described), _examples(described, place))
    except RowcastError:
        raise
    except Exception as error:
        raise InvalidInput("model_unreadable", f"Its description cannot be read ({type(error).__name__}).") from error
    for flavour in ("onnx", "lightgbm", "xgboost", "catboost", "sklearn"):
        said = flavours.get(flavour)
        if said is not None:
            path = _file(place, str(said.get("pickled_model" if flavour == "sklearn" else "data", "")))
            if pickled and path.suffix == _PICKLED:
                path = without_pickle(path)
            return _converter(flavour, path)(path, foreign), foreign, _target(described)
    raise InvalidInput(
        "model_not_importable",
        f"It is of a flavour that is not imported ({', '.join(flavours) or 'none'}): "
        "log it as ONNX, or with the flavour of scikit-learn, LightGBM, XGBoost or CatBoost.",
    )


def _file(place: Path, name: str) -> Path:
    path = place / name
    if place.resolve() not in path.resolve().parents or not path.is_file():
        raise InvalidInput("model_unreadable", "Its description names a file that it does not have.")
    return path


def _converter(flavour: str, path: Path) -> Callable[[Path, Foreign], Converted]:
    converter = _CONVERTERS.get((flavour, path.suffix))
    if converter is None:
        message = (
            "It is pickled, and what is pickled runs code when it is read. Log it again with "
            "serialization_format='skops', in the library's own format, or as ONNX; or ask an administrator, who may "
            "import it as it is where the operator allows that (ROWCAST_CONVERT_PICKLES)."
        )
        raise InvalidInput("model_pickled", message)
    return converter


def _features(described: Model) -> list[Feature] | None:
    if described.signature is None or described.signature.inputs is None:
        return None
    columns = described.signature.inputs.inputs
    if len(columns) == 1 and isinstance(columns[0], TensorSpec):
        width = columns[0].shape[-1] if len(columns[0].shape) == 2 else -1
        return None if width < 1 else [_number(f"x{place}") for place in range(width)]
    return [_feature(column) for column in columns]


def _number(name: str) -> Feature:
    return Feature(name=name, kind=Kind.NUMBER, may_be_missing=False)


def _feature(column: Any) -> Feature:
    kind = _KINDS.get(column.type) if isinstance(column, ColSpec) else None
    if kind is None:
        raise InvalidInput("signature_unknown", "Its signature has columns that are neither numbers, flags nor texts.")
    return Feature(name=str(column.name), kind=kind, may_be_missing=not column.required)


def _examples(described: Model, place: Path) -> list[dict[str, Any]]:
    """The rows of the input example, as far as it is a table with names."""
    import pandas as pd

    try:
        example = described.load_input_example(str(place))
    except Exception:  # noqa: BLE001  (it is only an example)
        return []
    if not isinstance(example, pd.DataFrame):
        return []
    rows = example.head(_MOST_EXAMPLES).astype(object).to_dict("records")
    return [{str(name): None if pd.isna(cell) else cell for name, cell in row.items()} for row in rows]


def _target(described: Model) -> str:
    outputs = described.signature.outputs if described.signature else None
    named = [column.name for column in outputs.inputs if column.name] if outputs is not None else []
    return str(named[0]) if named else "prediction"
