"""LightGBM: boosted trees that grow leaf by leaf; the fastest of the boosters here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rowcast.models.algorithms.boosting import EARLY_STOPPING, KEPT_TREES, LEARNING_RATE, MOST_TREES, fitted_rounds
from rowcast.models.algorithms.learner import ONE_HOT, Contributions, FittedModel, Lesson, Link, as_columns, margin_link
from rowcast.models.algorithms.tree_ensemble import Tree, TreeEnsemble, ensemble
from rowcast.models.encode.encoder import Style
from rowcast.models.encode.inputs import Floats
from rowcast.models.encode.onnx_graph import OnnxGraph
from rowcast.models.recipe import Problem
from rowcast.models.views import Algorithm, Hyperparameter

_FILE = "model.txt"
_WIDE = 500
_OBJECTIVES = {Problem.BINARY: "binary", Problem.MULTICLASS: "multiclass", Problem.REGRESSION: "regression"}
_METRICS = {Problem.BINARY: "binary_logloss", Problem.MULTICLASS: "multi_logloss", Problem.REGRESSION: "rmse"}


@dataclass(frozen=True)
class LightGBM:
    style = Style.BOOSTER
    stops_early = True
    explains = True
    shared = True

    def describe(self) -> Algorithm:
        return Algorithm(
            name="lightgbm",
            title="LightGBM",
            description="Boosted trees that grow leaf by leaf: fast, and hard to beat on tables.",
            problems=list(Problem),
            hyperparameters=[
                MOST_TREES,
                LEARNING_RATE,
                Hyperparameter(
                    name="num_leaves", type="integer", default=None, minimum=2, maximum=4096,
                    description="Most leaves of a tree; by default 31, fewer on small tables.",
                ),
                Hyperparameter(
                    name="max_depth", type="integer", default=-1, minimum=-1, maximum=64,
                    description="Most splits from root to leaf; -1 is no limit.",
                ),
                Hyperparameter(
                    name="min_child_samples", type="integer", default=None, minimum=1, maximum=100_000,
                    description="Fewest rows in a leaf; by default 20, fewer on small tables.",
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
                Hyperparameter(
                    name="extra_trees", type="boolean", default=False,
                    description="Try one random threshold per column at every split: rougher trees, often better "
                    "together on small or noisy tables.",
                ),
                ONE_HOT,
                EARLY_STOPPING,
            ],
        )  # fmt: skip

    def automatic(self, rows: int) -> dict[str, Any]:
        return {
            "num_leaves": 7 if rows < 2000 else 15 if rows < 10_000 else 31,
            "min_child_samples": 5 if rows < 300 else 10 if rows < 1000 else 20,
        }

    def fit(self, lesson: Lesson) -> FittedModel:
        import lightgbm

        training = _dataset(lightgbm, lesson, lesson.training)
        rounds = lesson.rounds or lesson.hyperparameters["n_estimators"]
        watched = [] if lesson.watch is None else [_dataset(lightgbm, lesson, lesson.watch, training)]
        begun = _begun(lightgbm, lesson)
        grown = begun.current_iteration() if begun is not None else 0
        callbacks = [_tick(lesson, rounds)]
        if watched:
            patience = lesson.hyperparameters["early_stopping_rounds"]
            callbacks.append(lightgbm.early_stopping(patience, verbose=False))
        booster = lightgbm.train(
            _parameters(lesson), training, rounds - grown, valid_sets=watched, init_model=begun, callbacks=callbacks
        )
        text = booster.model_to_string(num_iteration=booster.best_iteration if watched else -1)
        return _model(lesson.problem, text, lesson.threads)

    def load(self, folder: Path, threads: int) -> FittedModel:
        text = (folder / _FILE).read_text()
        objective = next(line for line in text.splitlines() if line.startswith("objective=")).split("=")[1].split()[0]
        problem = next(problem for problem, name in _OBJECTIVES.items() if name == objective)
        return _model(problem, text, threads)


@dataclass(frozen=True)
class LightGBMModel:
    problem: Problem
    booster: Any
    text: str = field(repr=False)
    rounds: int
    threads: int

    @property
    def link(self) -> Link:
        return margin_link(self.problem)

    def score(self, x: Floats) -> NDArray[np.float64]:
        return as_columns(self.booster.predict(x, raw_score=True, num_threads=self.threads))

    def contributions(self, x: Floats) -> Contributions:
        """SHAP values of the trees (Lundberg et al. 2020, "From local explanations to global understanding")."""
        found = self.booster.predict(x, pred_contrib=True, num_threads=self.threads)
        parts = np.asarray(found).reshape(len(x), self.booster.num_model_per_iteration(), x.shape[1] + 1)
        return Contributions(parts[:, :, -1], parts[:, :, :-1].transpose(0, 2, 1))

    def used(self, width: int) -> NDArray[np.bool_]:
        return self._trees().used(width)

    def nodes(self, graph: OnnxGraph, matrix: str) -> str:
        return self._trees().nodes(graph, matrix)

    def save(self, folder: Path) -> None:
        (folder / _FILE).write_text(self.text)

    def _trees(self) -> TreeEnsemble:
        outputs = self.booster.num_model_per_iteration()
        blocks = self.text.split("\nTree=")[1:]
        trees = (_tree(block, number % outputs) for number, block in enumerate(blocks))
        return ensemble(trees, "BRANCH_LEQ", [0.0] * outputs)


def _dataset(lightgbm: Any, lesson: Lesson, examples: Any, reference: Any = None) -> Any:
    return lightgbm.Dataset(
        examples.x,
        examples.y,
        weight=examples.weights,
        reference=reference,
        params={"verbosity": -1, "num_threads": lesson.threads, "feature_pre_filter": False},
    )


def _parameters(lesson: Lesson) -> dict[str, Any]:
    tuned = {
        name: value
        for name, value in lesson.hyperparameters.items()
        if name not in ("n_estimators", "early_stopping_rounds", "one_hot")
    }
    parameters = tuned | {
        "objective": _OBJECTIVES[lesson.problem],
        "metric": _METRICS[lesson.problem],
        "subsample_freq": 1,
        "seed": lesson.seed,
        "deterministic": True,
        # Left to itself LightGBM times both, and what is faster by chance would decide the model's last digits.
        "force_col_wise" if lesson.training.x.shape[1] > _WIDE else "force_row_wise": True,
        "num_threads": lesson.threads,
        "verbosity": -1,
        "feature_pre_filter": False,
    }
    if lesson.problem is Problem.MULTICLASS:
        parameters["num_class"] = lesson.class_count
    if lesson.together and lesson.together.network:
        parameters |= {"tree_learner": "data", "pre_partition": True, **lesson.together.network}
    return parameters


def _begun(lightgbm: Any, lesson: Lesson) -> Any:
    if lesson.together is None or lesson.together.begun is None:
        return None
    return lightgbm.Booster(model_str=lesson.together.begun.decode())


def _tick(lesson: Lesson, rounds: int) -> Any:
    def tick(environment: Any) -> None:
        if (environment.iteration + 1) % KEPT_TREES == 0:
            lesson.tick((environment.iteration + 1) / rounds)
            if lesson.together and environment.iteration + 1 < rounds:
                lesson.together.keep(environment.model.model_to_string(num_iteration=-1).encode())

    return tick


def _model(problem: Problem, text: str, threads: int) -> LightGBMModel:
    import lightgbm

    booster = lightgbm.Booster(model_str=text)
    return LightGBMModel(problem, booster, text, fitted_rounds(booster.current_iteration()), threads)


def _tree(block: str, output: int) -> Tree:
    """One tree of LightGBM's text format: inner nodes first, then leaves, which it writes as -1, -2, ..."""
    lines = dict(line.split("=", 1) for line in block.splitlines()[1:] if "=" in line)
    leaves = _numbers(lines["leaf_value"])
    inner = int(lines["num_leaves"]) - 1
    if not inner:
        leaves = leaves[:1]
    pad = np.full(len(leaves), -1)
    children = [np.array(lines.get(f"{side}_child", "").split(), dtype=np.int64)[:inner] for side in ("left", "right")]
    left, right = (np.concatenate([np.where(child < 0, inner - child - 1, child), pad]) for child in children)
    threshold = np.concatenate([_numbers(lines.get("threshold", ""))[:inner], np.zeros(len(leaves))])
    values = np.concatenate([np.zeros(inner), leaves]).reshape(-1, 1)
    feature = np.concatenate([np.array(lines.get("split_feature", "").split(), dtype=np.int64)[:inner], pad * 0])
    decision = np.concatenate([np.array(lines.get("decision_type", "").split(), dtype=np.int64)[:inner], pad * 0])
    return Tree(feature, threshold, left, right, _missing_left(decision, threshold), values, output)


def _numbers(text: str) -> NDArray[np.float64]:
    return np.array(text.split(), dtype=np.float64)


def _missing_left(decision: NDArray[np.int64], threshold: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Bit 1 of a decision is "missing goes left", but without missing values in training (type 0) NaN counts as 0."""
    kind = (decision >> 2) & 3
    return np.where(kind == 0, threshold >= 0, (decision & 2) > 0)
