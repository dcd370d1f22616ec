from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rowcast.errors import Conflict, NotFound
from rowcast.models.algorithms import learner_of
from rowcast.models.bundle.contents import card, evaluation, load
from rowcast.models.bundle.runtime import NativeRuntime, check_golden, open_runtime

FEATURES = ["term", "income, $", "since", "state", "town", "owns home"]


@pytest.fixture
def folder(workshop: Any, loans: Any) -> Path:
    workshop.put(loans())
    workshop.train("outcome", features=FEATURES, preset="fast")
    made: Path = workshop.folder("lightgbm")
    return made


def test_what_a_bundle_holds(folder: Path) -> None:
    bundle = load(folder)
    manifest = bundle.manifest
    assert manifest.classes == ["paid", "default"]
    assert (manifest.dataset.name, manifest.dataset.version) == ("shop", 3)
    assert manifest.hyperparameters["num_leaves"] == 7
    assert set(manifest.libraries) >= {"rowcast", "python", "lightgbm", "onnxruntime"}
    assert set(manifest.files) >= {"schema.json", "model.onnx", "golden.json", "evaluation.json", "README.md"}
    assert {"roc", "pr", "calibration", "importance"} <= set(evaluation(bundle))
    check_golden(bundle, open_runtime(bundle))


@pytest.mark.parametrize("change", ["edit", "remove", "add", "manifest", "link"])
def test_a_bundle_that_was_changed_is_refused(folder: Path, change: str) -> None:
    before = load(folder).bundle_hash
    if change == "edit":
        (folder / "golden.json").write_text((folder / "golden.json").read_text() + " ")
    elif change == "remove":
        (folder / "README.md").unlink()
    elif change == "add":
        (folder / "native" / "1" / "extra.pkl").write_bytes(b"")
    elif change == "link":
        (folder / "README.md").rename(folder.parent / "moved")
        (folder / "other").symlink_to(folder.parent / "moved")
    else:
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"target": "other"}))
    with pytest.raises(Conflict) as caught:
        load(folder, before)
    assert caught.value.code == "bundle_damaged"


def test_no_bundle_and_no_manifest(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load(tmp_path / "nowhere")
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(Conflict):
        load(folder)


def test_answers_that_changed_are_noticed(folder: Path) -> None:
    bundle = load(folder)

    class Wrong:
        def run(self, inputs: Any) -> Any:
            return open_runtime(bundle).run(inputs) + np.float32(1e-3)

    with pytest.raises(Conflict) as caught:
        check_golden(bundle, Wrong())
    assert caught.value.code == "bundle_not_reproduced"


def test_the_script_scores_the_golden_rows_alone(folder: Path, tmp_path: Path) -> None:
    blocked = "import sys; sys.modules['rowcast'] = None; sys.modules['polars'] = None; sys.modules['lightgbm'] = None;"
    run = f"{blocked} import runpy; runpy.run_path({str(folder / 'predict.py')!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    golden = load(folder).golden
    assert len(lines) == len(golden.rows) + 1
    assert set(json.loads(lines[0])) == {"paid", "default"}
    (tmp_path / "rows.json").write_text(json.dumps([{"term": 12, "since": "2001-02-03", "state": "NY"}]))
    command = [sys.executable, str(folder / "predict.py"), str(tmp_path / "rows.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1


def test_serving_onnx_imports_no_learning_library(folder: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from rowcast.models.bundle.contents import load
from rowcast.models.bundle.runtime import check_golden, open_runtime
bundle = load(Path({str(folder)!r}))
check_golden(bundle, open_runtime(bundle))
print([m for m in ("polars", "sklearn", "lightgbm", "xgboost", "catboost", "onnx") if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_card_cannot_be_broken_by_names(workshop: Any, loans: Any) -> None:
    rows = loans()
    name = "a | b\n# <script>alert(1)</script> `x`"
    workshop.put({name: rows["term"], "state": rows["state"], "y": rows["outcome"]})
    workshop.train("y", features=[name, "state"], preset="fast")
    text = card(workshop.bundle("lightgbm"))
    assert "<script>" not in text
    assert "a \\| b # &lt;script>" in text
    assert "probability that **y** is **default**" in text
    assert "240 rows are few" in text


def test_a_forest_file_that_asks_for_more_is_refused(tmp_path: Path) -> None:
    from skops.io import dump
    from skops.io.exceptions import UntrustedTypesFoundException

    dump({"forest": np.random.RandomState(0), "code": print}, tmp_path / "model.skops")
    (tmp_path / "model.json").write_text('{"problem": "binary", "class_count": 2}')
    with pytest.raises(UntrustedTypesFoundException):
        learner_of("random_forest").load(tmp_path, 1)


def test_native_runtime_takes_the_same_inputs(folder: Path) -> None:
    bundle = load(folder)
    inputs = {
        feature.name: np.array([[""]], dtype=object)
        if feature.kind == "category"
        else np.full((1, 1), np.nan, dtype=np.float32)
        for feature in bundle.schema.features
    }
    native = NativeRuntime.load(folder / "native").run(inputs)
    assert native.dtype == np.float32
    assert np.allclose(native, open_runtime(bundle).run(inputs), atol=1e-5)
