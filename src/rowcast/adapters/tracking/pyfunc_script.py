"""A model of Rowcast in MLflow: needs mlflow, onnxruntime, numpy and pandas, nothing of Rowcast.

MLflow keeps this file with the model and runs it to load the model: nothing is pickled. A model that ONNX cannot hold
is run by its own library, which needs Rowcast. ``predict`` takes a frame with the columns of the signature and gives
the column ``prediction`` and, of a model of classes, ``probability_<class>`` for each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.models import set_model

EPOCH = datetime(1970, 1, 1)
POSITIVE_FROM = 0.5


class Model(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
    def load_context(self, context: Any) -> None:
        folder = Path(context.artifacts["bundle"])
        schema = json.loads((folder / "schema.json").read_bytes())
        self.features = schema["features"]
        self.missing = frozenset(schema["missing_tokens"])
        self.classes = json.loads((folder / "manifest.json").read_bytes())["classes"]
        self.run = runtime(folder)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        outputs = self.run({feature["name"]: self.column(feature, model_input) for feature in self.features})
        if not self.classes:
            return pd.DataFrame({"prediction": outputs[:, 0]})
        chosen = outputs[:, 1] >= POSITIVE_FROM if len(self.classes) == 2 else outputs.argmax(axis=1)
        labels = np.array(self.classes, dtype=object)[chosen.astype(int)]
        chances = {f"probability_{label}": outputs[:, place] for place, label in enumerate(self.classes)}
        return pd.DataFrame({"prediction": labels, **chances})

    def column(self, feature: dict[str, Any], frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """A feature's cells as the model takes them: [N,1], missing as NaN or ""."""
        given = frame[feature["name"]] if feature["name"] in frame else pd.Series([None] * len(frame), dtype=object)
        cells = [None if pd.isna(cell) else cell for cell in given.tolist()]
        if feature["kind"] == "category":
            return np.array([[self.text(cell)] for cell in cells], dtype=object)
        read: Callable[[Any], float] = (lambda cell: days(cell, feature)) if feature["kind"] == "date" else float
        known = [None if isinstance(cell, str) and cell.strip() in self.missing else cell for cell in cells]
        return np.array([[np.nan if cell is None else read(cell)] for cell in known], dtype=np.float32)

    def text(self, cell: Any) -> str:
        written = "" if cell is None else str(cell).strip()
        return "" if written in self.missing else written


def runtime(folder: Path) -> Callable[[dict[str, Any]], Any]:
    """What gives outputs for inputs by feature."""
    if not (folder / "model.onnx").exists():
        from rowcast.models.bundle.contents import load
        from rowcast.models.bundle.runtime import open_runtime

        return open_runtime(load(folder)).run
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)[0]


def days(cell: Any, feature: dict[str, Any]) -> float:
    """Days since 1970-01-01 of a date in ISO 8601, or as the table writes it."""
    moment = cell.to_pydatetime() if isinstance(cell, pd.Timestamp) else read_date(str(cell).strip(), feature)
    if moment.tzinfo:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return float((moment - EPOCH).total_seconds() / 86400)


def read_date(text: str, feature: dict[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        for form in feature["date_formats"]:
            try:
                moment = datetime.strptime(text, form)
            except ValueError:
                continue
            pivot = feature["century_pivot"]
            return moment.replace(year=century(moment.year % 100, pivot)) if "%y" in form else moment
        raise


def century(year: int, pivot: int) -> int:
    """The year that two digits mean."""
    return year + (2000 if year <= pivot else 1900)


set_model(Model())
