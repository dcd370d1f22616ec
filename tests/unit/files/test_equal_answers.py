"""Whatever a file's rows are answered, a prediction call answers the same rows the same."""

from __future__ import annotations

import csv
import io

import numpy as np
import polars as pl
import pytest

from rowcast.datasets.rows import RowReader
from rowcast.models.bundle.runtime import open_runtime
from rowcast.models.encode.inputs import feeds, take
from rowcast.scoring.answers import renderer_of
from rowcast.scoring.files import source
from rowcast.scoring.files.bulk import BulkModel
from rowcast.scoring.files.cells import ColumnReader
from rowcast.scoring.files.scorer import _shortest
from rowcast.scoring.files.written import _texts

COLUMNS = ["id", "term", "income", "since", "state", "town", "owns home"]
CASES = [
    ("outcome", "lightgbm"), ("outcome", "xgboost"), ("outcome", "catboost"), ("outcome", "random_forest"),
    ("outcome", "linear"), ("grade", "lightgbm"), ("grade", "random_forest"), ("amount", "lightgbm"),
    ("amount", "xgboost"),
]  # fmt: skip
ODD = [
    ["a", "12", "$1,000.00", "27-Feb-91", "never seen", "town 99", "YES"],
    ["b", "N/A", "(3.50)", "1991-02-27", "  NY  ", "-", "no"],
    ["c", "soon", "1e39", "27-Feb-91", "NY", "town 1", "perhaps"],
    ["d", "1", "nothing", "31-Feb-91", "NY", "town 1", "yes"],
    ["e", "1" * 1200, "5", "", "", "", ""],
    ["f", "1e39", "-1e30", "1991-02-27T10:00:00", "line\nbreak", "town 1", "0"],
    ["g", "inf", "NaN", "27-Feb-91", "NY", "town 1", "maybe"],
]


def called(shop, target, algorithm, rows):
    """What a prediction call answers: texts of the columns by row, and the problems."""
    bundle = shop.bundle(target, algorithm)
    read = RowReader(bundle.schema).read(rows, skip_bad=True)
    kept = read.kept if read.kept is not None else list(range(len(rows)))
    manifest = bundle.manifest
    answers = renderer_of(manifest.problem, manifest.classes, manifest.intervals)(open_runtime(bundle).run(read.inputs))
    texts = [[]] * len(rows)
    for place, answer in zip(kept, answers, strict=True):
        cells = [answer.value]
        if answer.probability is not None:
            cells.append(answer.probability)
        elif answer.probabilities is not None:
            cells += answer.probabilities.values()
        if answer.interval is not None:
            cells += [answer.interval.low, answer.interval.high]
        texts[place] = list(map(str, cells))
    return texts, {(str(problem.row), problem.field, problem.code, problem.message) for problem in read.problems}


@pytest.mark.parametrize(("target", "algorithm"), CASES, ids=lambda case: case)
def test_a_file_is_answered_as_a_call_is(shop, target, algorithm, make_rows, write):
    rows = make_rows(3000, seed=5)
    for place, odd in enumerate(ODD):
        rows[place * 400 + 3] = odd
    content = write(rows)
    outcome = shop.score(content, target, algorithm)
    answers = list(csv.reader(io.StringIO(shop.predictions().decode())))
    table = list(csv.DictReader(io.StringIO(content.decode())))
    known = {feature.name for feature in shop.bundle(target, algorithm).schema.features}
    sent = [{name: cell for name, cell in row.items() if name in known} for row in table]
    texts, problems = called(shop, target, algorithm, sent)
    added = len(answers[0]) - len(table[0])
    found, expected = [row[-added:] for row in answers[1:]], [text or [""] * added for text in texts]
    assert found == expected
    assert [row[:-added] for row in answers[1:]] == [list(row.values()) for row in table]
    listed = {(line["row"], line["field"], line["code"], line["message"]) for line in shop.errors()}
    assert listed == problems
    assert len(problems) > 5
    assert outcome["row_count"] == 3000
    assert outcome["skipped"] == texts.count([]) == len({row for row, *_ in problems})


@pytest.mark.parametrize(("target", "algorithm"), CASES, ids=lambda case: case)
def test_a_row_is_answered_alike_alone_and_among_others(shop, target, algorithm, make_rows):
    bundle = shop.bundle(target, algorithm)
    frame = pl.DataFrame(make_rows(1000, seed=12), schema=COLUMNS, orient="row")
    readers = [ColumnReader(feature, bundle.schema.missing_tokens) for feature in bundle.schema.features]
    inputs = {reader.name: reader.read(frame[reader.name])[0] for reader in readers}
    together, runtime = BulkModel.open(bundle).run(inputs), open_runtime(bundle)
    alone = [runtime.run(feeds(take(inputs, np.array([place])))) for place in range(1000)]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_models_of_trees_are_taken_apart_and_still_give_the_same_bits(shop, make_rows):
    frame = pl.DataFrame(make_rows(2500, seed=9), schema=COLUMNS, orient="row")
    apart = set()
    for target, algorithm in CASES:
        bundle = shop.bundle(target, algorithm)
        readers = [ColumnReader(feature, bundle.schema.missing_tokens) for feature in bundle.schema.features]
        inputs = {reader.name: reader.read(frame[reader.name])[0] for reader in readers}
        model = BulkModel.open(bundle)
        if model._apart is None:
            continue
        apart.add((target, algorithm))
        np.testing.assert_array_equal(model._apart.run(inputs), model._served(inputs, 2500), strict=True)
    assert apart == set(CASES) - {("outcome", "linear"), ("grade", "random_forest")}


def test_a_model_that_answers_otherwise_when_taken_apart_is_used_whole(shop, make_rows, caplog):
    bundle = shop.bundle("outcome", "lightgbm")
    model, other = BulkModel.open(bundle), BulkModel.open(shop.bundle("outcome", "xgboost"))
    frame = pl.DataFrame(make_rows(500), schema=COLUMNS, orient="row")
    readers = [ColumnReader(feature, bundle.schema.missing_tokens) for feature in bundle.schema.features]
    inputs = {reader.name: reader.read(frame[reader.name])[0] for reader in readers}
    mixed = BulkModel(model._runtime, other._apart)
    np.testing.assert_array_equal(mixed.run(inputs), model._served(inputs, 500))
    assert "taken apart" in caplog.text


def test_numbers_are_written_as_python_writes_them():
    rng = np.random.default_rng(2)
    numbers = rng.normal(0, 1, 20_000) * 10.0 ** rng.integers(-30, 30, 20_000)
    every = [
        *numbers.tolist(),
        *rng.random(20_000).round(6).tolist(),
        0.0,
        -0.0,
        1e-4,
        9.9e-5,
        1e16,
        9999999999999998.0,
    ]
    assert _texts(pl.Series(every)).to_list() == list(map(repr, every))
    assert _texts(pl.Series([None, 1e-7, 2.5])).to_list() == [None, "1e-07", "2.5"]


def test_numbers_are_the_shortest_decimals_of_their_float32():
    numbers = np.random.default_rng(0).normal(0, 1, 20_000) * 10.0 ** np.random.default_rng(1).integers(-30, 30, 20_000)
    floats = np.concatenate([numbers.astype(np.float32), np.float32([0, -0.0, 1e10, 123456790, 0.1, 3.4e38])])
    assert [repr(found) for found in _shortest(floats).to_list()] == [repr(float(str(number))) for number in floats]


@pytest.mark.parametrize("size", [100, 333, 10**9])
def test_where_parts_end_changes_nothing(shop, size, make_rows, write, monkeypatch):
    content = write(make_rows(700, seed=3))
    shop.score(content)
    whole = shop.predictions()
    shop.storage.delete("scored")
    monkeypatch.setattr(source, "PART_BYTES", size)
    shop.score(content)
    assert shop.predictions() == whole
