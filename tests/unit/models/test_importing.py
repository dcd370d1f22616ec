"""Models that others made, in formats that hold no code: what they become, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.rows import RowReader
from rowcast.datasets.schema import Feature, Kind
from rowcast.errors import InvalidInput
from rowcast.models.bundle.contents import DatasetReference, card, load
from rowcast.models.bundle.runtime import check_golden, open_runtime
from rowcast.models.importing.boosters import catboost_model, lightgbm_model, xgboost_model
from rowcast.models.importing.bundling import pack
from rowcast.models.importing.estimators import estimator_model
from rowcast.models.importing.foreign import Foreign
from rowcast.models.importing.graphs import onnx_model
from rowcast.models.recipe import Problem

NAMES = ["a", "b b", "c"]
X = np.random.default_rng(0).normal(5, 2, (300, 3))
Y = (X[:, 0] + X[:, 2] > 10).astype(int)
ROWS = [dict(zip(NAMES, row, strict=True)) for row in X[:20].tolist()]


def foreign(**kinds):
    features = [Feature(name=name, kind=kinds.get(name, Kind.NUMBER), may_be_missing=False) for name in NAMES]
    return Foreign(features, ROWS)


def served(converted, told, folder):
    """What the bundle of a converted model answers to the examples, once it is loaded as it is for serving."""
    storage = LocalStorage(folder / "storage")
    source = DatasetReference(name="mlflow:shop", version=3, content_hash="")
    candidate = pack(converted, told, source, "y", storage, "bundles/x")
    bundle = load(folder / "storage" / "bundles" / "x", candidate["bundle_hash"])
    runtime = open_runtime(bundle)
    check_golden(bundle, runtime)
    assert "Imported from version 3 of mlflow:shop" in card(bundle)
    return runtime.run(RowReader(bundle.schema).read(told.rows).inputs)


def test_lightgbm_text(tmp_path):
    import lightgbm

    for objective, y in (("binary", Y), ("regression_l1", X[:, 1])):
        booster = lightgbm.train({"objective": objective, "verbosity": -1}, lightgbm.Dataset(X, y), 10)
        booster.save_model(tmp_path / "model.lgb")
        converted = lightgbm_model(tmp_path / "model.lgb", foreign())
        answers = served(converted, foreign(), tmp_path / objective)
        assert np.abs(answers[:, -1] - booster.predict(X[:20])).max() < 1e-5
        assert converted.parity.passed
        assert all(feature.may_be_missing for feature in converted.features)


def test_lightgbm_of_an_objective_whose_scores_mean_something_else(tmp_path):
    import lightgbm

    lightgbm.train({"objective": "poisson", "verbosity": -1}, lightgbm.Dataset(X, Y), 3).save_model(tmp_path / "m.lgb")
    with pytest.raises(InvalidInput) as caught:
        lightgbm_model(tmp_path / "m.lgb", foreign())
    assert caught.value.code == "objective_unknown"


def test_xgboost_of_several_classes_in_the_order_of_its_own_columns(tmp_path):
    import xgboost

    y = Y + (X[:, 1] > 5)
    matrix = xgboost.DMatrix(X[:, [2, 0, 1]], y, feature_names=["c", "a", "b b"])
    booster = xgboost.train({"objective": "multi:softmax", "num_class": 3}, matrix, 4)
    booster.save_model(tmp_path / "model.ubj")
    converted = xgboost_model(tmp_path / "model.ubj", foreign())
    assert ([f.name for f in converted.features], converted.classes) == (["c", "a", "b b"], ["0", "1", "2"])
    answers = served(converted, foreign(), tmp_path)
    assert (answers.argmax(axis=1) == booster.predict(matrix)[:20]).all()


def test_catboost_keeps_its_classes(tmp_path):
    import catboost

    booster = catboost.CatBoostClassifier(iterations=4, verbose=0, train_dir=str(tmp_path)).fit(
        X, np.where(Y, "yes", "no")
    )
    booster.save_model(tmp_path / "model.cb")
    converted = catboost_model(tmp_path / "model.cb", foreign())
    answers = served(converted, foreign(), tmp_path)
    assert converted.classes == ["no", "yes"]
    assert np.abs(answers - booster.predict_proba(X[:20])).max() < 1e-5


def graph_of(*, classes=True):
    """An ONNX classifier as skl2onnx writes one, with a matrix of float64 and probabilities in maps."""
    weights, shift = np.array([[1.0, -1.0], [0.5, 0.0], [0.0, 2.0]]), np.array([0.1, -4.0])
    nodes = [
        helper.make_node("MatMul", ["X", "w"], ["xw"]),
        helper.make_node("Add", ["xw", "s"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=1),
        helper.make_node("Cast", ["shares"], ["p"], to=TensorProto.FLOAT),
    ]
    outputs = [helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 2])]
    if classes:
        nodes.append(
            helper.make_node("ZipMap", ["p"], ["maps"], domain="ai.onnx.ml", classlabels_strings=["low", "high"])
        )
        kind = helper.make_sequence_type_proto(
            helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
        )
        outputs = [helper.make_value_info("maps", kind)]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, 3])], outputs,
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(shift, "s")],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 2)]
    scores = X[:20] @ weights + shift
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8), powers / powers.sum(axis=1, keepdims=True)


def test_an_onnx_classifier_takes_a_row_and_keeps_its_labels(tmp_path):
    model, expected = graph_of()
    onnx.save(model, tmp_path / "model.onnx")
    converted = onnx_model(tmp_path / "model.onnx", foreign())
    assert (converted.problem, converted.classes) == (Problem.BINARY, ["low", "high"])
    assert np.abs(served(converted, foreign(), tmp_path) - expected).max() < 1e-6


def test_onnx_with_an_input_for_each_column(tmp_path):
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("a", "n")]
    inputs.append(helper.make_tensor_value_info("town", TensorProto.STRING, [None, 1]))
    nodes = [
        helper.make_node("LabelEncoder", ["town"], ["t"], domain="ai.onnx.ml", keys_strings=["Ulm"],
                         values_floats=[7.0], default_float=1.0),
        helper.make_node("Sum", ["a", "n", "t"], ["y"]),
    ]  # fmt: skip
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "g", inputs, [output])
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 2)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "model.onnx")
    told = Foreign(None, [{"a": 1.0, "n": 2.0, "town": "Ulm"}, {"a": 1.0, "n": 2.0, "town": "Kiel"}])
    converted = onnx_model(tmp_path / "model.onnx", told)
    assert served(converted, told, tmp_path)[:, 0].tolist() == [10.0, 4.0]


def test_onnx_that_is_more_than_onnx_is_refused(tmp_path):
    model, _ = graph_of(classes=False)
    model.graph.node[0].domain = "somebody.else"
    model.opset_import.append(helper.make_opsetid("somebody.else", 1))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(InvalidInput) as caught:
        onnx_model(tmp_path / "model.onnx", foreign())
    assert caught.value.code == "operators_unknown"


def test_onnx_whose_weights_are_elsewhere_is_refused(tmp_path):
    model, _ = graph_of(classes=False)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(InvalidInput) as caught:
        onnx_model(tmp_path / "model.onnx", foreign())
    assert caught.value.code == "weights_elsewhere"


def dumped(estimator, folder):
    from skops.io import dump

    dump(estimator, folder / "model.skops")
    return folder / "model.skops"


def test_scikit_learn_with_the_usual_preparation(tmp_path):
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = pd.DataFrame(X, columns=NAMES)
    frame["b b"] = np.where(X[:, 1] > 5, "Ulm", "Kiel")
    prepared = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), ["a", "c"]),
            ("texts", OneHotEncoder(handle_unknown="ignore"), ["b b"]),
        ]
    )
    pipeline = make_pipeline(prepared, LogisticRegression()).fit(frame, np.where(Y, "good", "bad"))
    told = Foreign(foreign(**{"b b": Kind.CATEGORY}).features, frame.head(20).to_dict("records"))
    converted = estimator_model(dumped(pipeline, tmp_path), told)
    assert converted.classes == ["bad", "good"]
    assert [feature.may_be_missing for feature in converted.features] == [True, False, True]
    assert np.abs(served(converted, told, tmp_path) - pipeline.predict_proba(frame.head(20))).max() < 1e-6


@pytest.mark.parametrize("name", ["RandomForestClassifier", "ExtraTreesRegressor", "DecisionTreeClassifier", "Ridge"])
def test_scikit_learn_trees_and_lines(name, tmp_path):
    from sklearn import ensemble, linear_model, tree

    kind = next(getattr(room, name) for room in (ensemble, linear_model, tree) if hasattr(room, name))
    estimator = kind(n_estimators=5) if name[0] in "RE" and name != "Ridge" else kind()
    estimator.fit(X, X[:, 1] if name.endswith(("Regressor", "Ridge")) else Y + (X[:, 1] > 5))
    converted = estimator_model(dumped(estimator, tmp_path), foreign())
    known = (
        estimator.predict(X[:20])[:, None]
        if converted.problem is Problem.REGRESSION
        else estimator.predict_proba(X[:20])
    )
    # By rounding to float32 alone a row may fall on the other side of a threshold that was learned from it.
    assert (np.abs(served(converted, foreign(), tmp_path) - known).max(axis=1) < 1e-5).mean() >= 0.9


def test_a_tree_that_leads_out_of_itself_is_refused(tmp_path):
    from sklearn.tree import DecisionTreeClassifier

    estimator = DecisionTreeClassifier(max_depth=3).fit(X, Y)
    estimator.tree_.children_left[0] = 10_000
    with pytest.raises(InvalidInput) as caught:
        estimator_model(dumped(estimator, tmp_path), foreign())
    assert caught.value.code == "model_damaged"


def test_the_list_of_types_is_ours_and_not_the_files(tmp_path):
    from sklearn.preprocessing import FunctionTransformer

    path = dumped(FunctionTransformer(func=json.loads), tmp_path)
    with pytest.raises(InvalidInput) as caught:
        estimator_model(path, foreign())
    assert caught.value.code == "types_unknown"


def test_a_pickle_is_not_opened(tmp_path):
    path = tmp_path / "model.skops"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "harm").encode() + b"'\ntR.")
    with pytest.raises(InvalidInput):
        estimator_model(path, foreign())
    assert not (tmp_path / "harm").exists()


def test_a_signature_that_does_not_fit_is_told():
    with pytest.raises(InvalidInput) as caught:
        foreign().named(None, 4)
    assert caught.value.code == "signature_wrong"
    with pytest.raises(InvalidInput) as caught:
        Foreign(None).named(None, 4)
    assert caught.value.code == "signature_missing"
