"""Score this model's golden rows: needs numpy and onnxruntime, nothing of Rowcast. Run: python predict.py [rows.json]

Copied into every bundle as predict.py. Prints one line per row with the model's answer; without an argument it also
compares them with the answers recorded when the model was made and exits with 1 if they differ.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
EPOCH = datetime(1970, 1, 1)


def days(text: str) -> float:
    """Days since 1970-01-01 of a date in ISO 8601."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - EPOCH).total_seconds() / 86400


def column(kind: str, cells: list[Any]) -> np.ndarray[Any, Any]:
    """A feature's cells as the model takes them: [N,1], missing as NaN or ""."""
    if kind == "category":
        return np.array([["" if cell is None else str(cell)] for cell in cells], dtype=object)
    read = days if kind == "date" else float
    return np.array([[np.nan if cell is None else read(cell)] for cell in cells], dtype=np.float32)


def main() -> int:
    features = json.loads((HERE / "schema.json").read_bytes())["features"]
    manifest = json.loads((HERE / "manifest.json").read_bytes())
    golden = json.loads((HERE / "golden.json").read_bytes())
    rows = json.loads(Path(sys.argv[1]).read_bytes()) if len(sys.argv) > 1 else golden["rows"]
    if not (HERE / "model.onnx").exists():
        sys.stderr.write("This model has no ONNX form; serve it with Rowcast.\n")
        return 2
    session = onnxruntime.InferenceSession(str(HERE / "model.onnx"), providers=["CPUExecutionProvider"])
    inputs = {
        feature["name"]: column(feature["kind"], [row.get(feature["name"]) for row in rows]) for feature in features
    }
    answers = session.run(None, inputs)[0]
    for answer in answers.tolist():
        named = dict(zip(manifest["classes"], answer, strict=True)) if manifest["classes"] else answer[0]
        sys.stdout.write(json.dumps(named) + "\n")
    if len(sys.argv) > 1:
        return 0
    expected = np.array(golden["outputs"])
    scale = max(1.0, float(np.abs(expected).max()))
    furthest = float(np.abs(answers - expected).max()) / scale
    sys.stdout.write(f"largest difference from the recorded answers: {furthest:.2e}\n")
    return 0 if furthest <= 1e-5 else 1


if __name__ == "__main__":
    sys.exit(main())
