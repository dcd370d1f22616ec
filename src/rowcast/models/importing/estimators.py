"""Scikit-learn's estimators from skops, which holds no code, as ONNX: linear models, trees and forests, after the usual
preparation of columns. The types that may be read are fixed here; the list that a file brings along is not looked at.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.datasets.schema import Feature, Kind
from rowcast.models.algorithms.tree_ensemble import Tree, ensemble
from rowcast.models.bundle.contents import TOLERANCE, Parity
from rowcast.models.bundle.runtime import OnnxRuntime, difference
from rowcast.models.encode.inputs import Column, Labels, feeds
from rowcast.models.encode.onnx_graph import ML, OnnxGraph
from rowcast.models.importing.boosters import lightgbm_model, xgboost_model
from rowcast.models.importing.foreign import PROBE_ROWS, Converted, Foreign, probe, refused
from rowcast.models.recipe import Problem

_ALLOWED = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
    "numpy.dtype",
    "sklearn.tree._tree.Tree",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
)
"""Beside what skops knows to be harmless. They hold numbers; those of trees are checked before they are used."""

_LINEAR_NUMBERS = (
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "BayesianRidge",
    "HuberRegressor", "LinearSVR",
)  # fmt: skip
_TREES = ("DecisionTree", "RandomForest", "ExtraTrees")
_DOUBLE, _FLOAT = 11, 1


def estimator_model(path: Path, foreign: Foreign) -> Converted:
    """From a skops file.

    Raises:
        InvalidInput: it holds types that are not allowed, or an estimator or a step that cannot be converted.
    """
    estimator = _read(path)
    booster = _booster(estimator, foreign)
    if booster is not None:
        return booster
    names = getattr(estimator, "feature_names_in_", None)
    width = getattr(estimator, "n_features_in_", None) or len(foreign.features or [])
    steps = [step for _, step in estimator.steps] if _name(estimator) == "Pipeline" else [estimator]
    features = _required(foreign.named(None if names is None else [str(name) for name in names], width), steps)
    inputs = probe(features, foreign.rows)
    problem, classes, graph = _graph(steps, features)
    parity = _parity(graph, estimator, features, inputs, problem)
    return Converted("scikit-learn", features, problem, classes, graph, parity)


def _read(path: Path) -> Any:
    from skops.io import get_untrusted_types, load

    try:
        found = get_untrusted_types(file=path)
        unknown = [name for name in found if name not in _ALLOWED]
        if not unknown:
            return load(path, trusted=found)
    except Exception as error:
        raise refused("model_unreadable", f"Its skops file cannot be read ({type(error).__name__}).") from error
    raise refused("types_unknown", f"It holds types that are not read here, such as {unknown[0][:80]}.")


def _booster(estimator: Any, foreign: Foreign) -> Converted | None:
    """The booster within an estimator of LightGBM or XGBoost."""
    classes = [_label(label) for label in getattr(estimator, "classes_", [])] or None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        if _name(estimator).startswith("LGBM"):
            path.write_text(estimator.booster_.model_to_string())
            return lightgbm_model(path, foreign, classes)
        if _name(estimator).startswith("XGB"):
            estimator.get_booster().save_model(str(path))
            return xgboost_model(path, foreign, classes)
    return None


def _name(estimator: Any) -> str:
    return type(estimator).__name__


def _label(label: Any) -> str:
    return str(label.item() if isinstance(label, np.generic) else label)


def _required(features: Sequence[Feature], steps: list[Any]) -> list[Feature]:
    """The features, which may be missing only where the first step fills them."""
    filled = _name(steps[0]) == "SimpleImputer"
    inner: set[str] = set()
    if _name(steps[0]) == "ColumnTransformer":
        for _, step, columns in steps[0].transformers_:
            first = step.steps[0][1] if _name(step) == "Pipeline" else step
            if _name(first) == "SimpleImputer":
                inner.update(feature.name for feature in _selected(columns, features))
    return [feature.model_copy(update={"may_be_missing": filled or feature.name in inner}) for feature in features]


def _graph(steps: list[Any], features: Sequence[Feature]) -> tuple[Problem, list[str], bytes]:
    graph = OnnxGraph({feature.name: feature.kind is Kind.CATEGORY for feature in features})
    *before, last = [step for step in steps if not _passes(step)]
    if before and _name(before[0]) == "ColumnTransformer":
        matrix = _columns(graph, before.pop(0), features)
    else:
        matrix = _raw(graph, features)
    for step in before:
        matrix = _numeric(graph, step, matrix)
    return _last(graph, last, matrix)


def _passes(step: Any) -> bool:
    return isinstance(step, str) and step == "passthrough"


def _raw(graph: OnnxGraph, features: Sequence[Feature]) -> str:
    """The columns as they are, in float64: scikit-learn works in it."""
    texts = [feature.name for feature in features if feature.kind is Kind.CATEGORY]
    if texts:
        raise refused("texts_not_encoded", "It takes texts without a ColumnTransformer that encodes them.")
    return graph.add("Cast", graph.concat([feature.name for feature in features]), to=_DOUBLE)


def _columns(graph: OnnxGraph, transformer: Any, features: Sequence[Feature]) -> str:
    blocks = []
    for _, step, columns in transformer.transformers_:
        chosen = _selected(columns, features)
        if not chosen or (isinstance(step, str) and step == "drop"):
            continue
        steps = [inner for _, inner in step.steps] if _name(step) == "Pipeline" else [step]
        steps = [inner for inner in steps if not _passes(inner)]
        if any(feature.kind is Kind.CATEGORY for feature in chosen):
            blocks.append(_encoded(graph, steps, chosen))
            continue
        matrix = _raw(graph, chosen)
        for inner in steps:
            matrix = _numeric(graph, inner, matrix)
        blocks.append(matrix)
    return graph.concat(blocks)


def _selected(columns: Any, features: Sequence[Feature]) -> list[Feature]:
    if isinstance(columns, (str, int)):
        columns = [columns]
    if isinstance(columns, slice):
        return list(features[columns])
    listed = np.asarray(columns)
    if listed.dtype == np.bool_:
        listed = np.flatnonzero(listed)
    by_name = {feature.name: feature for feature in features}
    return [by_name[one] if isinstance(one, str) else features[int(one)] for one in listed.tolist()]


def _numeric(graph: OnnxGraph, step: Any, matrix: str) -> str:
    """A step that takes and gives numbers, float64."""
    match _name(step):
        case "StandardScaler":
            shift = step.mean_ if step.with_mean else 0.0
            return _scaled(graph, matrix, shift, 1 / step.scale_ if step.with_std else 1.0)
        case "RobustScaler":
            shift = step.center_ if step.with_centering else 0.0
            return _scaled(graph, matrix, shift, 1 / step.scale_ if step.with_scaling else 1.0)
        case "MaxAbsScaler":
            return _scaled(graph, matrix, 0.0, 1 / step.scale_)
        case "MinMaxScaler" if not step.clip:
            return graph.add("Add", _scaled(graph, matrix, 0.0, step.scale_), _double(graph, step.min_))
        case "SimpleImputer" if not step.add_indicator and _fills_nan(step):
            known = graph.add("Cast", graph.add("IsNaN", graph.add("Cast", matrix, to=_FLOAT)), to=9)
            return graph.add("Where", known, _double(graph, step.statistics_.astype(np.float64)), matrix)
        case name:
            raise refused("step_unknown", f"It prepares columns by {name[:60]}, which is not converted here.")


def _fills_nan(step: Any) -> bool:
    return (
        isinstance(step.missing_values, float)
        and np.isnan(step.missing_values)
        and np.isfinite(step.statistics_.astype(np.float64)).all()
    )


def _scaled(graph: OnnxGraph, matrix: str, shift: Any, factor: Any) -> str:
    return graph.add("Mul", graph.add("Sub", matrix, _double(graph, shift)), _double(graph, factor))


def _double(graph: OnnxGraph, values: Any) -> str:
    return graph.constant(np.atleast_1d(np.asarray(values, dtype=np.float64)), np.float64)


def _encoded(graph: OnnxGraph, steps: list[Any], features: Sequence[Feature]) -> str:
    """Texts as numbers, by codes or by a column for each level."""
    name = _name(steps[0])
    if len(steps) != 1 or name not in ("OneHotEncoder", "OrdinalEncoder") or _groups(steps[0]):
        raise refused("step_unknown", "Texts are converted by a OneHotEncoder or an OrdinalEncoder alone, ungrouped.")
    blocks = []
    for place, feature in enumerate(features):
        levels = [str(level) for level in steps[0].categories_[place]]
        other = -1.0 if name == "OneHotEncoder" else _unknown(steps[0])
        codes = graph.add(
            "LabelEncoder", feature.name, domain=ML, keys_strings=[level.encode() for level in levels],
            values_floats=np.arange(len(levels), dtype=np.float32), default_float=other,
        )  # fmt: skip
        if name == "OneHotEncoder":
            dropped = None if steps[0].drop_idx_ is None else steps[0].drop_idx_[place]
            kept = np.array([[code for code in range(len(levels)) if code != dropped]], dtype=np.float32)
            codes = graph.add("Equal", codes, graph.constant(kept))
        blocks.append(graph.add("Cast", codes, to=_DOUBLE))
    return graph.concat(blocks)


def _unknown(encoder: Any) -> float:
    """The code of a text that an encoder does not know; of one that would refuse it, none of those that it gives."""
    return -1.0 if encoder.unknown_value is None else float(encoder.unknown_value)


def _groups(encoder: Any) -> bool:
    """Whether it puts rare levels together."""
    return any(getattr(encoder, name, None) is not None for name in ("min_frequency", "max_categories"))


def _last(graph: OnnxGraph, estimator: Any, matrix: str) -> tuple[Problem, list[str], bytes]:
    """The estimator at the end: what it predicts, its classes, and the finished graph."""
    name = _name(estimator)
    classes = [_label(label) for label in getattr(estimator, "classes_", [])]
    if name == "LogisticRegression":
        chances = _logistic(graph, estimator, matrix)
    elif name in _LINEAR_NUMBERS:
        margin = _margin(graph, np.atleast_2d(estimator.coef_), estimator.intercept_, matrix)
        return Problem.REGRESSION, [], graph.finish(graph.add("Cast", margin, to=_FLOAT), "prediction", 1)
    elif name.startswith(_TREES) and name.endswith("Regressor"):
        return Problem.REGRESSION, [], graph.finish(_forest(graph, estimator, matrix), "prediction", 1)
    elif name.startswith(_TREES) and name.endswith("Classifier"):
        chances = _forest(graph, estimator, matrix)
    else:
        raise refused("estimator_unknown", f"{name[:60]} is not converted here: log the model as ONNX.")
    if len(classes) < 2 or getattr(estimator, "n_outputs_", 1) != 1:
        raise refused("estimator_unknown", "It predicts several targets at once, or one class alone.")
    problem = Problem.BINARY if len(classes) == 2 else Problem.MULTICLASS
    return problem, classes, graph.finish(chances, "probabilities", len(classes))


def _margin(graph: OnnxGraph, weights: NDArray[Any], intercept: Any, matrix: str) -> str:
    product = graph.add("MatMul", matrix, graph.constant(weights.T, np.float64))
    return graph.add("Add", product, _double(graph, intercept))


def _logistic(graph: OnnxGraph, estimator: Any, matrix: str) -> str:
    margin = _margin(graph, estimator.coef_, estimator.intercept_, matrix)
    if len(estimator.classes_) > 2:
        return graph.add("Cast", graph.add("Softmax", margin, axis=1), to=_FLOAT)
    chance = graph.add("Sigmoid", margin)
    both = graph.concat([graph.add("Sub", _double(graph, 1.0), chance), chance])
    return graph.add("Cast", both, to=_FLOAT)


def _forest(graph: OnnxGraph, estimator: Any, matrix: str) -> str:
    grown = [one.tree_ for one in getattr(estimator, "estimators_", [estimator])]
    width = int(estimator.n_features_in_)
    trees = [_tree(tree, width, len(grown), shares=hasattr(estimator, "classes_")) for tree in grown]
    found = ensemble(trees, "BRANCH_LEQ", [0.0] * trees[0].values.shape[1])
    return found.nodes(graph, graph.add("Cast", matrix, to=_FLOAT))


def _tree(tree: Any, width: int, count: int, *, shares: bool) -> Tree:
    """One tree, once its numbers are those of a tree: children come after their parents, columns are there."""
    left, right = (np.asarray(side, dtype=np.int64) for side in (tree.children_left, tree.children_right))
    inner, places = left >= 0, np.arange(len(left))
    feature = np.where(inner, np.asarray(tree.feature, dtype=np.int64), 0)
    children = np.concatenate([left[inner], right[inner]])
    parents = np.concatenate([places[inner], places[inner]])
    if not len(left) or (children <= parents).any() or (children >= len(left)).any() or (right[~inner] >= 0).any():
        raise refused("model_damaged", "One of its trees is none.")
    if (feature < 0).any() or (feature >= width).any():
        raise refused("model_damaged", "One of its trees looks at a column that there is not.")
    values = np.asarray(tree.value, dtype=np.float64)[:, 0, :]
    if shares:
        values = values / values.sum(axis=1, keepdims=True)
    goes_left = np.asarray(tree.missing_go_to_left, dtype=np.bool_)
    return Tree(feature, np.asarray(tree.threshold), left, right, goes_left, values / count)


def _parity(
    graph: bytes, estimator: Any, features: Sequence[Feature], inputs: dict[str, Column], problem: Problem
) -> Parity:
    found = OnnxRuntime(graph).run(feeds(inputs))
    table = _table(estimator, features, inputs)
    answers = estimator.predict(table) if problem is Problem.REGRESSION else estimator.predict_proba(table)
    furthest = difference(np.asarray(answers, dtype=np.float64).reshape(len(found), -1), found)
    if not furthest <= TOLERANCE:
        raise refused("model_not_reproduced", "As ONNX it answers otherwise than by scikit-learn.")
    return Parity(max_difference=furthest, rows=PROBE_ROWS, passed=True)


def _table(estimator: Any, features: Sequence[Feature], inputs: dict[str, Column]) -> Any:
    """The inputs as the estimator takes them: a frame where it was given names or texts."""
    columns = {name: column.texts() if isinstance(column, Labels) else column for name, column in inputs.items()}
    if not hasattr(estimator, "feature_names_in_") and all(one.kind is not Kind.CATEGORY for one in features):
        return np.column_stack([columns[feature.name] for feature in features]).astype(np.float64)
    import pandas as pd

    frame = pd.DataFrame(columns, columns=[feature.name for feature in features])
    return frame.astype({feature.name: float for feature in features if feature.kind is not Kind.CATEGORY})
