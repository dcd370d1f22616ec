"""``make bench-tune``: the best model of a search beside AutoGluon's, with the same time, on rows that neither saw."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import cores, describe
from benchmarks.servers import rowcast
from rowcast.client import Client
from rowcast.models.evaluate.metrics import calibration_figures, primary_metric, score
from rowcast.models.recipe import Problem

HERE = Path(__file__).parent
PEER = HERE.parent.parent / ".venv-peers" / "autogluon" / "bin" / "python"
LOANS = HERE.parent.parent / "src" / "rowcast" / "examples" / "sba_loans.csv"
RESULTS = HERE.parent / "results" / "tuning.md"
SECONDS, PRESET = 60, "best_quality"
ROWS_A_CALL = 1_000


@dataclass(frozen=True)
class Found:
    """Of one table: the test score of both, the calibration error and what the search itself estimated."""

    name: str
    rows: tuple[int, int]
    """Learned from and tested."""

    metric: str
    ours: float
    theirs: float
    estimate: float
    calibration_error: float | None
    by_chance: float | None
    """The calibration error that probabilities which are exactly right would have on so many rows."""

    seconds: tuple[float, float]
    made_of: str

    @property
    def behind(self) -> float:
        """By how much AutoGluon is better: of an RMSE as a share of its own, else as it is; below 0 it is worse."""
        if self.metric == "roc_auc":
            return self.theirs - self.ours
        return (self.ours - self.theirs) / (self.theirs if self.metric == "rmse" else 1.0)

    def line(self) -> str:
        error = "" if self.calibration_error is None else f"{self.calibration_error:.3f} ({self.by_chance:.3f})"
        spent = "{:.0f} / {:.0f}".format(*self.seconds)
        return (
            f"| {self.name} | {self.rows[0]:,} / {self.rows[1]:,} | {self.metric} | {self.ours:.4f} "
            f"| {self.theirs:.4f} | {-self.behind:+.4f} | {self.estimate:.4f} | {error} | {spent} | {self.made_of} |"
        )


def main() -> None:
    """Compare on all tables, or on those that are named."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = folder / "tables"
        _peer("tables", str(tables), str(LOANS))
        chosen = sys.argv[1:] or sorted(place.name for place in tables.iterdir())
        with rowcast(folder / "data", ",".join(map(str, cores()))) as server:
            found = [_compare(server.client, tables / one) for one in chosen]
    report = _report(found)
    RESULTS.write_text(report)
    print(report)


def _compare(client: Client, place: Path) -> Found:
    """One after the other, at the same low priority, for a search makes way for whatever is served."""
    about = json.loads((place / "about.json").read_text())
    problem, target = Problem(about["problem"]), about["target"]
    client.datasets.add(place / "train.csv", name=place.name)
    started = time.monotonic()
    result = client.tune_and_wait(dataset=place.name, target=target, problem=problem, seconds=SECONDS, promote=True)
    spent = time.monotonic() - started
    _peer("fit", str(place), str(SECONDS), PRESET)
    rows = list(csv.DictReader((place / "test.csv").open()))
    ours, classes = _ours(client, place.name, rows, target)
    theirs = _theirs(place, classes)
    y = _truth(rows, target, classes)
    study, best = result.study, result.candidates[0]
    found = Found(
        name=place.name,
        rows=(about["rows"][0], about["rows"][1]),
        metric=primary_metric(problem),
        ours=score(problem, y, ours),
        theirs=score(problem, y, theirs),
        estimate=study.estimate[0].value,
        calibration_error=calibration_figures(problem, y, ours)["ece"] if classes else None,
        by_chance=_by_chance(problem, ours) if classes else None,
        seconds=(spent, json.loads((place / "autogluon.json").read_text())["seconds"]),
        made_of=f"{best.algorithm} of {len(study.chosen)}, {study.trials} trials"
        if len(study.chosen) > 1
        else f"{best.algorithm}, {study.trials} trials",
    )
    print(found.line(), flush=True)
    return found


def _ours(client: Client, model: str, rows: list[dict[str, Any]], target: str) -> tuple[NDArray[Any], list[str]]:
    """Probabilities [N,K] with their classes, or numbers [N,1]."""
    version = client.models.version(model, client.models.number_of(f"{model}@champion"))
    known = set(version.feature_schema.names)
    sent = [{name: value for name, value in row.items() if name in known} for row in rows]
    calls = (sent[start : start + ROWS_A_CALL] for start in range(0, len(sent), ROWS_A_CALL))
    answers = [answer for call in calls for answer in client.predict(model, call).predictions]
    if not version.classes:
        return np.array([[answer.value] for answer in answers]), []
    return np.array([[answer.probabilities[name] for name in version.classes] for answer in answers]), version.classes


def _theirs(place: Path, classes: list[str]) -> NDArray[Any]:
    rows = list(csv.DictReader((place / "autogluon.csv").open()))
    return np.array([[float(row[name]) for name in classes or row] for row in rows])


def _truth(rows: list[dict[str, Any]], target: str, classes: list[str]) -> NDArray[Any]:
    return np.array([classes.index(row[target]) if classes else float(row[target]) for row in rows])


def _by_chance(problem: Problem, probabilities: NDArray[Any], draws: int = 100) -> float:
    """The mean calibration error of these probabilities [N,K] for classes that are drawn by them."""
    rng = np.random.default_rng(0)
    upto = np.cumsum(probabilities, axis=1)
    drawn = ((rng.random((len(upto), 1)) * upto[:, -1:] > upto).sum(axis=1) for _ in range(draws))
    return float(np.mean([calibration_figures(problem, y, probabilities)["ece"] for y in drawn]))


def _peer(*arguments: str) -> None:
    subprocess.run(
        ["nice", "-n", "10", str(PEER), str(HERE / "peer.py"), *arguments], check=True, stdout=subprocess.DEVNULL
    )


def _report(found: list[Found]) -> str:
    ahead = sum(one.behind <= 0 for one in found)
    limits = {"roc_auc": 0.005, "rmse": 0.02}
    far = [one.name for one in found if one.metric in limits and one.behind > limits[one.metric]]
    lines = [
        "# tuning",
        "",
        describe(),
        "",
        f"{SECONDS} s each, AutoGluon with the preset {PRESET}; scores on rows that neither saw.",
        "Beside the calibration error stands what probabilities that are exactly right would show on so few rows.",
        "",
        "| table | rows learned from / tested | metric | Rowcast | AutoGluon | ahead by | its own estimate "
        "| calibration error (by chance) | seconds | made of |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(one.line() for one in found),
        "",
        f"As good or better on {ahead} of {len(found)}; behind by more than 0.005 AUC or 2 % RMSE on "
        f"{', '.join(far) or 'none'}.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
