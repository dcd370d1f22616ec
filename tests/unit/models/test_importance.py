from __future__ import annotations

import numpy as np
import pytest

from rowcast.datasets.schema import Feature, Kind
from rowcast.models.algorithms.linear import LinearModel
from rowcast.models.encode.encoder import Encoder
from rowcast.models.evaluate.importance import drops_in_score, importance
from rowcast.models.recipe import Problem
from rowcast.models.train.member import Member

FEATURES = [Feature(name=name, kind=Kind.NUMBER) for name in ("useful", "weak", "unused")]


def member(problem: Problem) -> Member:
    encoder = Encoder([feature.name for feature in FEATURES], [], [], [float("nan")] * 3)
    return Member(encoder, LinearModel(problem, np.array([[3.0], [0.3], [0.0]]), np.zeros(1), np.zeros(3)), "linear")


@pytest.mark.parametrize("problem", [Problem.BINARY, Problem.REGRESSION])
def test_a_feature_matters_as_much_as_the_score_suffers(problem: Problem) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 3)).astype(np.float32)
    y = x @ np.array([3.0, 0.3, 0.0])
    target = (y > 0).astype(np.int64) if problem is Problem.BINARY else y
    drops = [drops_in_score(problem, member(problem), x, target, FEATURES, seed, 3) for seed in range(3)]
    listed = importance(drops, FEATURES)
    assert [item["feature"] for item in listed] == ["useful", "weak", "unused"]
    assert listed[0]["low"] < listed[0]["mean"] < listed[0]["high"]
    assert listed[0]["low"] > listed[1]["high"] > 0
    assert listed[2] == {"feature": "unused", "mean": 0.0, "low": 0.0, "high": 0.0}


def test_one_fold_has_no_interval() -> None:
    (first, *_) = importance([np.array([0.2, 0.1, 0.0])], FEATURES)
    assert first == {"feature": "useful", "mean": 0.2, "low": None, "high": None}
