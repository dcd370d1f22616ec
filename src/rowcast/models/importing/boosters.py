"""Boosted trees in the formats of LightGBM, XGBoost and CatBoost, which hold no code: read by their own libraries, then
converted, compared and kept as those that were trained here."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rowcast.models.algorithms import learner_of
from rowcast.models.algorithms.learner import FittedModel
from rowcast.models.bundle.exporting import export
from rowcast.models.encode.encoder import Encoder
from rowcast.models.importing.foreign import Converted, Foreign, probe, refused
from rowcast.models.recipe import Problem
from rowcast.models.train.member import Member

_SEED = 0
_NUMBERS = {
    "lightgbm": ("regression", "regression_l1", "huber", "fair", "quantile", "mape"),
    "xgboost": ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror"),
}
"""Objectives whose score is the predicted number itself."""

_TEXT_OBJECTIVE = re.compile(r"^objective=(\S+)(.*)$", re.MULTILINE)


def lightgbm_model(path: Path, foreign: Foreign, classes: Sequence[str] | None = None, threads: int = 1) -> Converted:
    """From LightGBM's text format.

    Raises:
        InvalidInput: it has categorical splits, or an objective whose scores mean something else.
    """
    text = path.read_text()
    found = _TEXT_OBJECTIVE.search(text)
    objective, rest = (found[1], found[2].split()) if found else ("", [])
    if re.search(r"^num_cat=[1-9]", text, re.MULTILINE):
        raise refused("model_categorical", "It splits by categories of its own coding. Train it on encoded columns.")
    if objective == "binary" and "sigmoid:1" in rest:
        problem = Problem.BINARY
    elif objective == "multiclass":
        problem = Problem.MULTICLASS
    elif objective in _NUMBERS["lightgbm"] and "sqrt" not in rest:
        problem, text = Problem.REGRESSION, _TEXT_OBJECTIVE.sub("objective=regression", text, count=1)
    else:
        raise _objective_unknown(objective)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.txt").write_text(text)
        model: Any = learner_of("lightgbm").load(Path(folder), threads)
    outputs = model.booster.num_model_per_iteration()
    return _converted("lightgbm", model, problem, outputs, model.booster.feature_name(), classes, foreign)


def xgboost_model(path: Path, foreign: Foreign, classes: Sequence[str] | None = None, threads: int = 1) -> Converted:
    """From XGBoost's UBJSON or JSON.

    Raises:
        InvalidInput: as ``lightgbm_model``.
    """
    import xgboost

    booster = xgboost.Booster(params={"nthread": threads}, model_file=str(path))
    objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
    if "c" in (booster.feature_types or []):
        raise refused("model_categorical", "It splits by categories of its own coding. Train it on encoded columns.")
    if objective == "binary:logistic":
        problem, named = Problem.BINARY, objective
    elif objective in ("multi:softprob", "multi:softmax"):
        problem, named = Problem.MULTICLASS, "multi:softprob"
    elif objective in _NUMBERS["xgboost"]:
        problem, named = Problem.REGRESSION, "reg:squarederror"
    else:
        raise _objective_unknown(objective)
    booster.set_param({"objective": named})
    with tempfile.TemporaryDirectory() as folder:
        booster.save_model(str(Path(folder, "model.ubj")))
        model: Any = learner_of("xgboost").load(Path(folder), threads)
    names = model.booster.feature_names or [f"f{place}" for place in range(model.booster.num_features())]
    outputs = int(json.loads(model.booster.save_config())["learner"]["learner_model_param"]["num_class"]) or 1
    return _converted("xgboost", model, problem, outputs, names, classes, foreign)


def catboost_model(path: Path, foreign: Foreign, classes: Sequence[str] | None = None, threads: int = 1) -> Converted:
    """From CatBoost's binary format.

    Raises:
        InvalidInput: as ``lightgbm_model``, or it learned from texts.
    """
    import catboost

    booster = catboost.CatBoost().load_model(str(path))
    if booster.get_cat_feature_indices() or booster.get_text_feature_indices():
        raise refused("model_categorical", "It splits by categories of its own coding. Train it on encoded columns.")
    loss = booster.get_all_params().get("loss_function", "")
    problems = {"Logloss": Problem.BINARY, "MultiClass": Problem.MULTICLASS, "RMSE": Problem.REGRESSION}
    if loss not in problems:
        raise _objective_unknown(loss)
    with tempfile.TemporaryDirectory() as folder:
        booster.save_model(str(Path(folder, "model.cbm")), format="cbm")
        model: Any = learner_of("catboost").load(Path(folder), threads)
    labels = classes or [str(label) for label in booster.classes_]
    outputs = len(labels) if problems[loss] is Problem.MULTICLASS else 1
    return _converted("catboost", model, problems[loss], outputs, booster.feature_names_, labels, foreign)


def _converted(
    algorithm: str,
    model: FittedModel,
    problem: Problem,
    outputs: int,
    names: Sequence[str],
    classes: Sequence[str] | None,
    foreign: Foreign,
) -> Converted:
    features = [feature.model_copy(update={"may_be_missing": True}) for feature in foreign.named(names, len(names))]
    numbers = [feature.name for feature in features]
    member = Member(Encoder(numbers, [], [], [float("nan")] * len(numbers)), model, algorithm)
    exported = export([member], features, problem, probe(features, foreign.rows), _SEED)
    count = {Problem.BINARY: 2, Problem.MULTICLASS: outputs, Problem.REGRESSION: 0}[problem]
    labels = [str(place) for place in range(count)] if classes is None or len(classes) != count else list(classes)
    return Converted(
        algorithm=algorithm,
        features=features,
        problem=problem,
        classes=labels,
        graph=exported.model,
        parity=exported.parity,
        members=[member],
        quicker=exported.quicker,
    )


def _objective_unknown(objective: str) -> Exception:
    known = "binary and multiclass probabilities, and numbers by squared or absolute error"
    return refused("objective_unknown", f"What it was trained for is not known here ({objective[:40]}): {known} are.")
