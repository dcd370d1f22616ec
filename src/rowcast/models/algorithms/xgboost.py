"""XGBoost: boosted trees that grow level by level."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.algorithms.boosting import EARLY_STOPPING, KEPT_TREES, LEARNING_RATE, MOST_TREES, fitted_rounds
from rowcast.models.algorithms.learner import (
    ONE_HOT,
    Contributions,
    Examples,
    FittedModel,
    Lesson,
    Link,
    as_columns,
    margin_link,
)
from rowcast.models.algorithms.tree_ensemble import Tree, TreeEnsemble, ensemble
from rowcast.models.encode.encoder import Style
from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.recipe import Problem
from rowcast.models.views import Algorithm, Hyperparameter

_FILE = "model.ubj"
_OBJECTIVES = {
    Problem.BINARY: "binary:logistic",
    Problem.MULTICLASS: "multi:softprob",
    Problem.REGRESSION: "reg:squarederror",
}
_METRICS = {Problem.BINARY: "logloss", Problem.MULTICLASS: "mlogloss", Problem.REGRESSION: "rmse"}


@dataclass(frozen=True)
class XGBoost:
    style = Style.BOOSTER
    stops_early = True
    explains = True
    shared = True

    def describe(self) -> Algorithm:
        return Algorithm(
            name="xgboost",
            title="XGBoost",
            description="Boosted trees that grow level by level.",
            problems=list(Problem),
            hyperparameters=[
                MOST_TREES,
                LEARNING_RATE,
                Hyperparameter(
                    name="max_depth", type="integer", default=None, minimum=1, maximum=16,
                    description="Most splits from root to leaf; by default 6, fewer on small tables.",
                ),
                Hyperparameter(
                    name="min_child_weight", type="number", default=5.0, minimum=0.0, maximum=10_000.0,
                    description="Least weight of rows in a leaf.",
                ),
                Hyperparameter(
                    name="subsample", type="number", default=0.8, minimum=0.05, maximum=1.0,
                    description="Share of the rows that each tree sees.",
                ),
                Hyperparameter(
                    name="colsample_bytree", type="number", default=0.8, minimum=0.01, maximum=1.0,
                    description="Share of the columns that each tree sees.",
                ),
                Hyperparameter(
                    name="reg_alpha", type="number", default=0.0, minimum=0.0, maximum=1000.0,
                    description="L1 penalty on leaf values.",
                ),
                Hyperparameter(
                    name="reg_lambda", type="number", default=1.0, minimum=0.0, maximum=1000.0,
                    description="L2 penalty on leaf values.",
                ),
                ONE_HOT,
                EARLY_STOPPING,
            ],
        )  # fmt: skip

    def automatic(self, rows: int) -> dict[str, Any]:
        return {"max_depth": 3 if rows < 2000 else 4 if rows < 10_000 else 6}

    def fit(self, lesson: Lesson) -> FittedModel:
        import xgboost

        rounds = lesson.rounds or lesson.hyperparameters["n_estimators"]
        begun = _begun(xgboost, lesson)
        grown = begun.num_boosted_rounds() if begun is not None else 0
        watched = [] if lesson.watch is None else [(_matrix(xgboost, lesson, lesson.watch), "watch")]
        booster = xgboost.train(
            _parameters(lesson),
            _bins(xgboost, lesson) if lesson.together else _matrix(xgboost, lesson, lesson.training),
            rounds - grown,
            xgb_model=begun,
            evals=watched,
            early_stopping_rounds=lesson.hyperparameters["early_stopping_rounds"] if watched else None,
            verbose_eval=False,
            callbacks=[_ticker(xgboost, lesson, rounds, grown)],
        )
        kept = booster[: booster.best_iteration + 1] if watched else booster
        return XGBoostModel(lesson.problem, kept, kept.num_boosted_rounds())

    def load(self, folder: Path, threads: int) -> FittedModel:
        import xgboost

        booster = xgboost.Booster(params={"nthread": threads}, model_file=str(folder / _FILE))
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
        problem = next(problem for problem, name in _OBJECTIVES.items() if name == objective)
        return XGBoostModel(problem, booster, booster.num_boosted_rounds())


@dataclass(frozen=True)
class XGBoostModel:
    problem: Problem
    booster: Any
    trees: int

    @property
    def rounds(self) -> int:
        return fitted_rounds(self.trees)

    @property
    def link(self) -> Link:
        return margin_link(self.problem)

    def score(self, x: Floats) -> NDArray[np.float64]:
        return as_columns(self.booster.inplace_predict(x, predict_type="margin", validate_features=False))

    def contributions(self, x: Floats) -> Contributions:
        """SHAP values of the trees (Lundberg et al. 2020, "From local explanations to global understanding").

        XGBoost adds them up in float32; what rounding lost of the sum in float64 is shared out in proportion.
        """
        import xgboost

        found = self.booster.predict(xgboost.DMatrix(x, nthread=1), pred_contribs=True).astype(np.float64)
        parts = found.reshape(len(x), -1, x.shape[1] + 1)
        base, columns = parts[:, :, -1], parts[:, :, :-1].transpose(0, 2, 1)
        lost = self._ensemble.sums(x) - base - columns.sum(axis=1)
        size = np.abs(columns)
        total = size.sum(axis=1)
        share = np.divide(lost, total, out=np.zeros_like(lost), where=total > 0)
        return Contributions(np.where(total > 0, base, base + lost), columns + size * share[:, None, :])

    def used(self, width: int) -> NDArray[np.bool_]:
        return self._ensemble.used(width)

    def nodes(self, graph: OnnxGraph, matrix: str) -> str:
        return self._ensemble.nodes(graph, matrix)

    def save(self, folder: Path) -> None:
        self.booster.save_model(str(folder / _FILE))

    @cached_property
    def _ensemble(self) -> TreeEnsemble:
        learner = json.loads(self.booster.save_raw("json"))["learner"]
        model = learner["gradient_booster"]["model"]
        outputs = max(1, int(learner["learner_model_param"]["num_class"]))
        pairs = zip(model["trees"], model["tree_info"], strict=True)
        trees = (_tree(tree, output) for tree, output in pairs)
        return ensemble(trees, "BRANCH_LT", _base(self.problem, learner["learner_model_param"]["base_score"], outputs))


def _matrix(xgboost: Any, lesson: Lesson, examples: Examples) -> Any:
    return xgboost.DMatrix(examples.x, examples.y, weight=examples.weights, nthread=lesson.threads)


def _bins(xgboost: Any, lesson: Lesson) -> Any:
    """A byte for each value, in place of the eight that an ordinary matrix takes."""
    rows = lesson.training
    return xgboost.QuantileDMatrix(rows.x, rows.y, weight=rows.weights, nthread=lesson.threads)


def _begun(xgboost: Any, lesson: Lesson) -> Any:
    if lesson.together is None or lesson.together.begun is None:
        return None
    return xgboost.Booster(model_file=bytearray(lesson.together.begun))


def _parameters(lesson: Lesson) -> dict[str, Any]:
    tuned = {
        name: value
        for name, value in lesson.hyperparameters.items()
        if name not in ("n_estimators", "early_stopping_rounds", "one_hot")
    }
    parameters = tuned | {
        "objective": _OBJECTIVES[lesson.problem],
        "eval_metric": _METRICS[lesson.problem],
        "tree_method": "hist",
        "seed": lesson.seed,
        "nthread": lesson.threads,
        "verbosity": 0,
    }
    if lesson.problem is Problem.MULTICLASS:
        parameters["num_class"] = lesson.class_count
    return parameters


def _ticker(xgboost: Any, lesson: Lesson, rounds: int, grown: int) -> Any:
    class Ticker(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            trees = grown + epoch + 1
            if trees % KEPT_TREES == 0:
                lesson.tick(trees / rounds)
                if lesson.together and trees < rounds:
                    lesson.together.keep(bytes(model.save_raw("ubj")))
            return False

    return Ticker()


def _base(problem: Problem, written: str, outputs: int) -> list[float]:
    """Where margins start: XGBoost keeps it as a prediction, so two classes need the log odds."""
    scores = np.array(written.strip("[]").split(","), dtype=np.float64)
    if problem is Problem.BINARY:
        scores = np.log(scores / (1 - scores))
    base: list[float] = np.broadcast_to(scores, outputs).tolist()
    return base


def _tree(tree: dict[str, Any], output: int) -> Tree:
    left = np.array(tree["left_children"], dtype=np.int64)
    conditions = np.array(tree["split_conditions"], dtype=np.float32)  # as XGBoost compares them
    return Tree(
        feature=np.array(tree["split_indices"], dtype=np.int64),
        threshold=conditions,
        yes=left,
        no=np.array(tree["right_children"], dtype=np.int64),
        missing_yes=np.array(tree["default_left"], dtype=np.bool_),
        values=np.where(left < 0, conditions, 0.0).astype(np.float64).reshape(-1, 1),
        output=output,
    )
