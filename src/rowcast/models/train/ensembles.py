"""Ensembles: several candidates whose scores are averaged, judged and served as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rowcast.models.calibrate.maps import log_odds, predictions
from rowcast.models.evaluate.metrics import score
from rowcast.models.train.candidates import Candidate, Conditions, Step, Table, fit_for_serving
from rowcast.models.train.folds import Fold
from rowcast.models.train.member import Member, common_link

ENSEMBLE = "ensemble"


def combine(parts: list[Candidate], table: Table, folds: Sequence[Fold]) -> Candidate:
    """The parts as one candidate whose scores are their weighted mean; it has failed if one of them has.

    A feature's importance is the weighted mean of what the parts lose without it.
    Where some score by log odds and others by shares, all count by their log odds.
    """
    failed = next((part.failure for part in parts if part.failure is not None), None)
    link = common_link(part.link for part in parts)
    weights = np.array([part.weight for part in parts])
    alike = [
        part.scored if part.link is link else log_odds(part.link, part.scored.astype(np.float64)) for part in parts
    ]
    scored = np.average(alike, axis=0, weights=weights).astype(np.float32)
    whole = Candidate(ENSEMBLE, {}, scored, parts=parts, link=link, failure=failed)
    whole.seconds = sum(part.seconds for part in parts)
    if failed is None:
        whole.scores = [_score(whole, table, fold) for fold in folds]
        drops: list[Any] = list(zip(*(part.drops for part in parts), strict=True))
        whole.drops = [np.average(of_fold, axis=0, weights=weights) for of_fold in drops]
    return whole


def _score(candidate: Candidate, table: Table, fold: Fold) -> float:
    found = predictions(candidate.link, candidate.scored[fold.testing].astype(np.float64))
    return score(table.problem, table.y[fold.testing], found)


def served_members(candidate: Candidate, table: Table, conditions: Conditions, step: Step) -> list[Member]:
    """What serves: the models of the folds if they were kept, else one fitted on all rows; those of every part."""
    if not candidate.parts:
        return candidate.members or [fit_for_serving(candidate, table, conditions, step)]
    return [
        Member(one.encoder, one.model, one.algorithm, one.center, one.spread, part.weight / len(members))
        for part in candidate.parts
        for members in [served_members(part, table, conditions, step)]
        for one in members
    ]
