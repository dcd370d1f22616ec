"""CatBoost: boosted symmetric trees; slower to fit, quick to predict, good without tuning."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.algorithms.boosting import EARLY_STOPPING, LEARNING_RATE, MOST_TREES, fitted_rounds
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

_FILE = "model.cbm"
_LOSSES = {Problem.BINARY: "Logloss", Problem.MULTICLASS: "MultiClass", Problem.REGRESSION: "RMSE"}


@dataclass(frozen=True)
class CatBoost:
    style = Style.BOOSTER
    stops_early = True
    explains = True
    shared = False

    def describe(self) -> Algorithm:
        return Algorithm(
            name="catboost",
            title="CatBoost",
            description="Boosted symmetric trees: slower to fit, quick to predict, good without tuning.",
            problems=list(Problem),
            hyperparameters=[
                MOST_TREES.model_copy(update={"default": 500}),
                LEARNING_RATE.model_copy(update={"default": 0.1}),
                Hyperparameter(
                    name="max_depth", type="integer", default=None, minimum=1, maximum=12,
                    description="Depth of every tree; by default 6, less on small tables.",
                ),
                Hyperparameter(
                    name="l2_leaf_reg", type="number", default=3.0, minimum=0.0, maximum=1000.0,
                    description="L2 penalty on leaf values.",
                ),
                Hyperparameter(
                    name="subsample", type="number", default=0.8, minimum=0.05, maximum=1.0,
                    description="Share of the rows that each tree sees.",
                ),
                ONE_HOT.model_copy(update={"default": True}),
                EARLY_STOPPING,
            ],
        )  # fmt: skip

    def automatic(self, rows: int) -> dict[str, Any]:
        return {"max_depth": 4 if rows < 2000 else 5 if rows < 10_000 else 6}

    def fit(self, lesson: Lesson) -> FittedModel:
        import catboost

        tuned = dict(lesson.hyperparameters)
        patience, most = tuned.pop("early_stopping_rounds"), tuned.pop("n_estimators")
        del tuned["one_hot"]
        rounds = lesson.rounds or most
        watched = None if lesson.watch is None else _pool(catboost, lesson, lesson.watch)
        booster = catboost.CatBoost(
            tuned
            | {
                "loss_function": _LOSSES[lesson.problem],
                "iterations": rounds,
                "bootstrap_type": "Bernoulli" if lesson.problem is Problem.MULTICLASS else "MVS",
                "random_seed": lesson.seed,
                "thread_count": lesson.threads,
                "allow_writing_files": False,
                "logging_level": "Silent",
            }
            | ({"classes_count": lesson.class_count} if lesson.problem is Problem.MULTICLASS else {})
            | ({"od_type": "Iter", "od_wait": patience, "use_best_model": True} if watched else {})
        )
        booster.fit(_pool(catboost, lesson, lesson.training), eval_set=watched, callbacks=[_Ticker(lesson, rounds)])
        return CatBoostModel(lesson.problem, booster, lesson.threads)

    def load(self, folder: Path, threads: int) -> FittedModel:
        import catboost

        booster = catboost.CatBoost()
        booster.load_model(str(folder / _FILE))
        loss = booster.get_all_params()["loss_function"]
        problem = next(problem for problem, name in _LOSSES.items() if name == loss)
        return CatBoostModel(problem, booster, threads)


@dataclass(frozen=True)
class _Ticker:
    lesson: Lesson
    rounds: int

    def after_iteration(self, info: Any) -> bool:
        """CatBoost's callback; True goes on."""
        if info.iteration % 25 == 0:
            self.lesson.tick(info.iteration / self.rounds)
        return True


@dataclass(frozen=True)
class CatBoostModel:
    problem: Problem
    booster: Any
    threads: int

    @property
    def rounds(self) -> int:
        return fitted_rounds(self.booster.tree_count_)

    @property
    def link(self) -> Link:
        return margin_link(self.problem)

    def score(self, x: Floats) -> NDArray[np.float64]:
        return as_columns(self.booster.predict(x, prediction_type="RawFormulaVal", thread_count=self.threads))

    def contributions(self, x: Floats) -> Contributions:
        """SHAP values of the trees (Lundberg et al. 2020, "From local explanations to global understanding")."""
        import catboost

        pool = catboost.Pool(x, thread_count=self.threads)
        found = self.booster.get_feature_importance(pool, type="ShapValues", thread_count=self.threads)
        parts = np.asarray(found).reshape(len(x), -1, x.shape[1] + 1)
        return Contributions(parts[:, :, -1], parts[:, :, :-1].transpose(0, 2, 1))

    def used(self, width: int) -> NDArray[np.bool_]:
        return self._trees().used(width)

    def nodes(self, graph: OnnxGraph, matrix: str) -> str:
        return self._trees().nodes(graph, matrix)

    def save(self, folder: Path) -> None:
        self.booster.save_model(str(folder / _FILE), format="cbm")

    def _trees(self) -> TreeEnsemble:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.json"
            self.booster.save_model(str(path), format="json")
            model = json.loads(path.read_bytes())
        features = model["features_info"]["float_features"]
        missing_high = {feature["feature_index"] for feature in features if feature["nan_value_treatment"] == "AsTrue"}
        columns = {feature["feature_index"]: feature["flat_feature_index"] for feature in features}
        scale, bias = model["scale_and_bias"]
        trees = (_tree(tree, len(bias), scale, columns, missing_high) for tree in model["oblivious_trees"])
        return ensemble(trees, "BRANCH_LEQ", list(bias))


def _pool(catboost: Any, lesson: Lesson, examples: Examples) -> Any:
    return catboost.Pool(examples.x, examples.y, weight=examples.weights, thread_count=lesson.threads)


def _tree(tree: dict[str, Any], outputs: int, scale: float, columns: dict[int, int], missing_high: set[int]) -> Tree:
    """A symmetric tree as an ordinary one: level by level, all nodes of a level with the same split.

    Split i of CatBoost's list is bit i of a leaf's index, set when ``x > border``; the last split goes to the root.
    """
    splits = tree["splits"][::-1]
    depth = len(splits)
    inner = 2**depth - 1
    leaves = np.array(tree["leaf_values"], dtype=np.float64).reshape(2**depth, outputs) * scale
    levels = np.repeat(np.arange(depth), [2**level for level in range(depth)])
    feature = np.array([columns[split["float_feature_index"]] for split in splits], dtype=np.int64)
    border = np.array([split["border"] for split in splits], dtype=np.float32)  # as CatBoost compares them
    low = np.array([split["float_feature_index"] not in missing_high for split in splits], dtype=np.bool_)
    pad = np.full(2**depth, -1)
    child = 2 * np.arange(inner) + 1
    return Tree(
        feature=np.concatenate([feature[levels], pad * 0]),
        threshold=np.concatenate([border[levels], pad * 0.0]),
        yes=np.concatenate([child, pad]),
        no=np.concatenate([child + 1, pad]),
        missing_yes=np.concatenate([low[levels], pad == 0]),
        values=np.concatenate([np.zeros((inner, outputs)), leaves]),
    )
