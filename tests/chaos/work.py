"""What the clients ask for: predictions of rows of the built-in table, some of them bad, and small trainings."""

from __future__ import annotations

import csv
import json
import random
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

EXAMPLE = Path(str(files("rowcast.examples"))) / "sba_loans.csv"
DATASET, TARGET = "loans", "MIS_Status"
MODEL = f"{DATASET}@1"
"""By its number: what trainings make meanwhile changes no answer."""

CALLS = 400
"""Different predictions: each is asked for many times through the queue, and once at once to compare."""

MODELS = 4
"""Models that trainings add versions to: several at a time to the same."""


@dataclass(frozen=True)
class Job:
    """One thing to be done, once, under its key. ``call`` is the same prediction as it is asked for at once."""

    number: int
    key: str
    path: str
    body: bytes
    call: bytes | None = None


def jobs(chance: random.Random, features: list[str], *, tasks: int, trainings: int) -> list[Job]:
    """That many predictions, with the trainings evenly among them."""
    calls = predictions(chance, features)
    name = f"{chance.getrandbits(32):08x}"
    total = tasks + trainings
    first = {int((number + 0.5) * total / trainings): number for number in range(trainings)}
    return [
        _training(number, f"{name}-{number}", first[number])
        if number in first
        else _prediction(number, f"{name}-{number}", chance.choice(calls))
        for number in range(total)
    ]


def predictions(chance: random.Random, features: list[str]) -> list[dict[str, Any]]:
    """Bodies of prediction calls: of one to four rows, one in ten with reasons, one in twenty with a bad cell."""
    with EXAMPLE.open(newline="") as file:
        table = [{name: row[name] for name in features} for row in csv.DictReader(file)]
    return [_call(chance, table, number) for number in range(CALLS)]


def _call(chance: random.Random, table: list[dict[str, Any]], number: int) -> dict[str, Any]:
    call: dict[str, Any] = {"rows": [dict(row) for row in chance.sample(table, chance.randint(1, 4))]}
    if number % 10 == 0:
        call["explain"] = 3
    if number % 20 == 1:
        call["rows"][-1]["GrAppv"] = "a lot"
    return call


def _prediction(number: int, key: str, call: dict[str, Any]) -> Job:
    body = {"kind": "predict", "model": MODEL, **call}
    return Job(number, key, "/tasks", json.dumps(body).encode(), json.dumps(call).encode())


def _training(number: int, key: str, which: int) -> Job:
    recipe = {"target": TARGET, "algorithms": ["linear"], "folds": 2, "seed": which}
    body = {"dataset": DATASET, "model": f"trained-{which % MODELS}", **recipe}
    return Job(number, key, "/trainings", json.dumps(body).encode())
