"""Models as MLflow's own flavours save them, and which of them can be imported: nothing of them is ever run."""

from __future__ import annotations

import os
import warnings

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from rowcast.adapters.tracking.reading import converted_at
from rowcast.errors import Conflict, InvalidInput

FRAME = pd.DataFrame(np.random.default_rng(0).normal(5, 2, (200, 3)), columns=["a", "b b", "c"])
LABEL = np.where(FRAME["a"] > 5, "good", "bad")


def saved(flavour, model, folder, frame=FRAME, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = infer_signature(frame, pd.DataFrame({"target": [1.0]}))
        flavour.save_model(
            model, str(folder), signature=signature, input_example=frame.head(5), pip_requirements=["numpy"], **more
        )
    return folder


def test_scikit_learn_as_mlflow_logs_it(tmp_path):
    model = LogisticRegression().fit(FRAME, LABEL)
    converted, foreign, target = converted_at(saved(mlflow.sklearn, model, tmp_path / "m"))
    assert (converted.classes, target, len(foreign.rows)) == (["bad", "good"], "target", 5)
    trees = ["sklearn.tree._tree.Tree", "numpy.dtype"]
    grown = DecisionTreeRegressor(max_depth=3).fit(FRAME, FRAME["a"])
    converted, _, _ = converted_at(saved(mlflow.sklearn, grown, tmp_path / "t", skops_trusted_types=trees))
    assert converted.parity.passed


def test_a_matrix_without_names(tmp_path):
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=3).fit(FRAME.to_numpy(), LABEL == "good")
    folder = tmp_path / "m"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = infer_signature(FRAME.to_numpy())
        mlflow.xgboost.save_model(model, str(folder), signature=signature, pip_requirements=["numpy"])
    converted, _, _ = converted_at(folder)
    assert [feature.name for feature in converted.features] == ["x0", "x1", "x2"]


@pytest.mark.parametrize("form", ["pickle", "cloudpickle"])
def test_what_is_pickled_is_refused_unread(form, tmp_path):
    model = LogisticRegression().fit(FRAME, LABEL)
    folder = saved(mlflow.sklearn, model, tmp_path / "m", serialization_format=form)
    (folder / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "harm").encode() + b"'\ntR.")
    with pytest.raises(InvalidInput) as caught:
        converted_at(folder)
    assert caught.value.code == "model_pickled"
    assert not (tmp_path / "harm").exists()


def test_what_is_pickled_is_converted_where_that_is_allowed(tmp_path):
    model = LogisticRegression().fit(FRAME, LABEL)
    folder = saved(mlflow.sklearn, model, tmp_path / "m", serialization_format="cloudpickle")
    try:
        converted, _, _ = converted_at(folder, pickled=True)
    except Conflict:
        assert "CI" not in os.environ, "this machine lets no process be shut in"
        pytest.skip("this machine lets no process be shut in")
    assert (converted.classes, converted.parity.passed) == (["bad", "good"], True)


def test_a_flavour_that_only_runs_is_refused_unrun(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import mlflow.pyfunc\nfrom mlflow.models import set_model\n"
        "class Model(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n        return model_input\n"
        "set_model(Model())\n"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(str(tmp_path / "m"), python_model=str(script), pip_requirements=["numpy"])
    with pytest.raises(InvalidInput) as caught:
        converted_at(tmp_path / "m")
    assert caught.value.code == "model_not_importable"


def test_a_description_that_names_a_file_elsewhere(tmp_path):
    folder = saved(mlflow.sklearn, LogisticRegression().fit(FRAME, LABEL), tmp_path / "m")
    description = folder / "MLmodel"
    description.write_text(
        description.read_text().replace("pickled_model: model.skops", "pickled_model: ../other.skops")
    )
    (tmp_path / "other.skops").write_bytes((folder / "model.skops").read_bytes())
    with pytest.raises(InvalidInput) as caught:
        converted_at(folder)
    assert caught.value.code == "model_unreadable"
