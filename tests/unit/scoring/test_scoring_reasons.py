"""Reasons: they add up to the score for every algorithm that has contributions, and are honest for the others."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from answering import predict

from rowcast.accounts.principal import Principal
from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.inference.cells import gather
from rowcast.datasets.inference.inference import Hints, infer
from rowcast.datasets.objects import table_key
from rowcast.datasets.profile.profiling import measure, with_ranges
from rowcast.datasets.schema import MAX_CATEGORIES, MISSING_TOKENS, Feature, FeatureSchema, Kind
from rowcast.errors import InvalidInput, TooLarge, Unavailable
from rowcast.models.bundle.lookups import Table
from rowcast.models.bundle.native import load_members
from rowcast.models.calibrate.maps import predictions
from rowcast.models.encode.inputs import from_feeds
from rowcast.models.recipe import Problem
from rowcast.models.train.member import Member
from rowcast.models.train.training import train as run_training
from rowcast.scoring.answers import encode
from rowcast.scoring.directory import VersionKey
from rowcast.scoring.loaded import LoadedModel, open_model
from rowcast.scoring.reasons import code_of
from rowcast.scoring.requests import decode
from rowcast.scoring.unfamiliar import _end, notes
from rowcast.scoring.views import Predictions

ADDITIVE = ("linear", "lightgbm", "xgboost", "catboost")
OTHERS = ("random_forest", "baseline")
FEATURES = ["term", "income, $", "since", "state", "town", "owns home"]
MEANINGS = {"term": "length of the loan in months; shortened when it fails", "state": "x" * 200}
SMALL = {name: {"n_estimators": 60} for name in ("lightgbm", "xgboost", "catboost")} | {
    "random_forest": {"n_estimators": 20}
}
TARGETS = {Problem.BINARY: "outcome", Problem.MULTICLASS: "grade", Problem.REGRESSION: "amount"}
HASH = "0" * 64


def cells(rows: int = 400) -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    term, income = rng.integers(6, 240, rows), np.exp(rng.normal(8, 1, rows)).round(2)
    day = np.datetime64("1961-02-27") + rng.integers(0, 20_000, rows)
    state, town = rng.choice(["NY", "CA", "東京"], rows), rng.integers(0, 60, rows)
    home = rng.choice(["yes", "no"], rows)
    risk = 1.0 * (term < 80) + (income < 2500) + (state == "NY") + (town < 20) + rng.normal(0, 0.4, rows)

    def gaps(values: Any) -> list[Any]:
        return [None if gap else str(value) for value, gap in zip(values, rng.random(rows) < 0.08, strict=True)]

    return {
        "term": [str(value) for value in term],
        "income, $": gaps(income),
        "since": gaps(day),
        "state": gaps(state),
        "town": gaps([f"town {number}" for number in town]),
        "owns home": gaps(home),
        "outcome": ["default" if value > 2.2 else "paid" for value in risk],
        "grade": [("A", "B", "C")[int(min(2, max(0, value)))] for value in risk],
        "amount": [f"{1000 * value:.1f}" for value in risk],
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The storage of a table and all algorithms trained on it for every problem, two members each."""
    root = tmp_path_factory.mktemp("reasons")
    path = root / "table.parquet"
    pl.DataFrame(cells()).write_parquet(path)
    described = []
    for column in gather(path, MISSING_TOKENS):
        feature = infer(column, Hints())
        described.append(with_ranges(feature, measure(path, feature, column, MISSING_TOKENS)))
    schema = FeatureSchema(features=tuple(described)).describe(MEANINGS)
    storage = LocalStorage(root / "storage")
    storage.put_file(table_key(HASH), path)
    for problem, target in TARGETS.items():
        request = {
            "dataset": "shop", "target": target, "features": FEATURES, "preset": "best", "folds": 2,
            "hyperparameters": SMALL,
        }  # fmt: skip
        run_training(
            storage, lambda progress: None, request=request, content_hash=HASH, dataset_number=1,
            schema=schema.model_dump(mode="json"), bundle_prefix=f"bundles/{problem}", threads=2,
        )  # fmt: skip
    yield root / "storage"


@pytest.fixture
def opened(trained: Path) -> Callable[..., LoadedModel]:
    def opened(problem: Problem, algorithm: str) -> LoadedModel:
        return open_model(LocalStorage(trained), key_of(trained, problem, algorithm))

    return opened


def key_of(trained: Path, problem: Problem, algorithm: str) -> VersionKey:
    key = f"bundles/{problem}/{algorithm}"
    digest = hashlib.sha256((trained / key / "manifest.json").read_bytes()).hexdigest()
    return VersionKey("v" * 32, "loans", 1, key, digest)


def sent_rows(count: int = 25) -> list[dict[str, Any]]:
    table = cells()
    rows = [{name: table[name][place] for name in FEATURES} for place in range(count)]
    return [*rows, rows[0] | {"town": "never seen", "state": "nor this"}, {"term": 7}, {"term": 1e30, "income, $": -5}]


def score_in_float64(member: Member, matrix: Any) -> Any:
    """The raw score again, from the trees themselves where the library adds them up in float32."""
    ensemble = getattr(member.model, "_ensemble", None)
    return member.model.score(matrix) if ensemble is None else ensemble.sums(matrix)


@pytest.mark.parametrize("problem", Problem)
@pytest.mark.parametrize("algorithm", ADDITIVE)
def test_contributions_add_up_to_the_score(
    opened: Any, trained: Path, principal: Principal, problem: Problem, algorithm: str
) -> None:
    model, rows = opened(problem, algorithm), sent_rows()
    answers = predict(principal, model, None, rows, explain=True).predictions
    native = load_members(trained / model.key.bundle_key / "native", 1)
    assert len(native.members) == 2
    read = model.reader.read(rows)
    inputs = from_feeds(read.inputs)
    scores = np.mean(
        [score_in_float64(m, m.encoder.transform(inputs)) * m.spread + m.center for m in native.members], axis=0
    )
    served = model.runtime.run(read.inputs)
    assert np.abs(predictions(native.members[0].model.link, scores, native.calibration) - served).max() < (
        1e-5 * max(1, np.abs(served).max())
    )
    for place, answer in enumerate(answers):
        assert answer is not None
        found = answer.explanation
        assert found is not None
        output = model.classes.index(found.of) if problem is Problem.MULTICLASS else 0
        scale = max(1.0, abs(scores).max()) if problem is Problem.REGRESSION else 1.0
        total = found.base + sum(reason.contribution for reason in found.reasons) + found.rest
        assert total == pytest.approx(found.score, abs=1e-6 * scale)
        assert total == pytest.approx(scores[place, output], abs=1e-6 * scale)
        assert found.method == "contributions"
        assert found.unit == ("number" if problem is Problem.REGRESSION else "log_odds")
        sizes = [abs(reason.contribution) for reason in found.reasons]
        assert sizes == sorted(sizes, reverse=True)
        assert {reason.feature for reason in found.reasons} <= set(FEATURES)
        assert all((reason.direction == "raises") == (reason.contribution > 0) for reason in found.reasons)
        assert [reason.value for reason in found.reasons] == [rows[place].get(r.feature) for r in found.reasons]


@pytest.mark.parametrize("problem", Problem)
@pytest.mark.parametrize("algorithm", OTHERS)
def test_other_models_say_what_a_typical_value_would_change(
    opened: Any, principal: Principal, problem: Problem, algorithm: str
) -> None:
    model, rows = opened(problem, algorithm), sent_rows(5)
    for row, answer in zip(rows, predict(principal, model, None, rows, explain=True).predictions, strict=True):
        assert answer is not None
        found = answer.explanation
        assert found is not None
        assert (found.method, found.base, found.score, found.rest) == ("occlusion", None, None, None)
        assert algorithm != "baseline" or found.reasons == []
        for reason in found.reasons:
            typical = model.schema.feature(reason.feature).example
            (other,) = predict(principal, model, None, [row | {reason.feature: typical}]).predictions
            change = _chance(answer, found.of) - _chance(other, found.of)
            assert reason.contribution == pytest.approx(change, abs=1e-6 * max(1, abs(_chance(answer, found.of))))
            assert "with a typical value" in reason.sentence


def _chance(answer: Any, of: str) -> float:
    return float(answer.value) if answer.probabilities is None else answer.probabilities[of]


def test_what_matters_is_said_in_words(opened: Any, principal: Principal) -> None:
    model = opened(Problem.BINARY, "lightgbm")
    row = {"term": 12, "income, $": 300.5, "since": None, "state": "NY", "town": "town 3", "owns home": "yes"}
    (answer,) = predict(principal, model, None, [row], explain=True).predictions
    found = answer.explanation
    said = {reason.feature: reason for reason in found.reasons}
    assert found.of == "default"
    assert found.reasons[0].feature in {"term", "income, $", "state", "town"}
    assert said["term"].sentence.startswith("term (length of the loan in months) is 12, which ")
    assert said["term"].sentence.endswith("raises the probability of default.")
    assert said["state"].sentence.startswith("state is NY, which ")
    assert said["term"].description == MEANINGS["term"]
    assert said["income, $"].code == "INCOME"
    assert said["owns home"].code == "OWNS_HOME"
    if "since" in said:
        assert "since is not known" in said["since"].sentence
    raising = [reason.code for reason in found.reasons if reason.direction == "raises"]
    assert found.reason_codes == raising[:4]
    assert (code_of("a-b c"), code_of("Größe (m)"), code_of("$")) == ("A_B_C", "GRÖSSE_M", "FEATURE")


def test_a_number_is_explained_in_its_own_unit(opened: Any, principal: Principal) -> None:
    model = opened(Problem.REGRESSION, "lightgbm")
    (answer,) = predict(principal, model, None, [{"term": 12, "state": "NY"}], explain=2).predictions
    found = answer.explanation
    assert len(found.reasons) == 2
    assert found.score == pytest.approx(answer.value, rel=1e-5)
    assert found.base + sum(r.contribution for r in found.reasons) + found.rest == pytest.approx(found.score)
    assert all(" to amount." in r.sentence or " off amount." in r.sentence for r in found.reasons)
    assert found.reason_codes == []
    assert answer.interval.level == 0.9
    assert answer.interval.low < answer.value < answer.interval.high


def test_what_the_model_has_never_seen_is_said_beside_the_answer(opened: Any, principal: Principal) -> None:
    known = {"term": 12, "income, $": 300.5, "since": "1999-01-01", "state": "NY", "town": "town 3", "owns home": "yes"}
    strange = {"term": 100_000, "since": "27.02.1831", "state": " 大阪 ", "town": "x" * 100}
    rows = [known, {"term": 12}, known | strange]
    for algorithm in (*ADDITIVE, *OTHERS):
        model = opened(Problem.BINARY, algorithm)
        plain, alone, found = predict(principal, model, None, rows, "skip", explain=1).predictions
        assert (plain.notes, alone.notes, found) == (None, None, None)  # a date in no known form is a bad row
        (odd,) = predict(principal, model, None, [rows[2] | {"since": "1831-02-27"}], explain=1).predictions
        assert [(note["field"], note["code"]) for note in odd.notes] == [
            ("term", "value_beyond_range"), ("since", "value_beyond_range"),
            ("state", "category_unseen"), ("town", "category_unseen"),
        ]  # fmt: skip
        said = [note["message"] for note in odd.notes]
        assert said[0].startswith("term is 100000, beyond anything that the model has learned from (6 to 239).")
        assert said[1].startswith("since is 1831-02-27, beyond anything that the model has learned from (19")
        assert said[2] == "state is 大阪, which the model has never seen; it was treated like the rarest ones."
        assert said[3].startswith(f"town is {'x' * 60}…, which")
        assert predict(principal, model, None, [rows[0]]).predictions[0].notes is None


def test_a_year_has_no_separator() -> None:
    assert [_end(end) for end in (1971.0, 2014.0, 12_000.0, -0.5, "2014-01-02")] == [
        "1971", "2014", "12,000", "-0.5", "2014-01-02",
    ]  # fmt: skip


def test_of_a_column_with_very_many_categories_the_model_says_which_it_knows() -> None:
    feature = Feature(name="town", kind=Kind.CATEGORY, categories=tuple(f"town {n}" for n in range(MAX_CATEGORIES)))
    codes = {"town": Table("town", {"town 0": 0.4, "town 900": 0.3}, other=0.1).code}
    rows = [{"town": name} for name in ("town 0", "town 5", "town 900", "town 901", None)]
    inputs = {"town": np.array([[row["town"] or ""] for row in rows], dtype=object)}
    schema = FeatureSchema(features=(feature,))
    found = notes(schema, codes, rows, inputs)
    assert [len(each) for each in found] == [0, 0, 0, 1, 0]
    assert found[3][0]["code"] == "category_rare"
    assert not any(notes(schema, {}, rows, inputs)), "a runtime that cannot tell says nothing"


def test_nobody_pays_who_does_not_ask(opened: Any, trained: Path, principal: Principal) -> None:
    model = opened(Problem.BINARY, "lightgbm")
    (answer,) = predict(principal, model, None, [{"term": 12}]).predictions
    assert answer.explanation is None
    code = f"""
import sys
from pathlib import Path
from rowcast.accounts.principal import Principal, Role
from rowcast.adapters.storage.local import LocalStorage
from rowcast.scoring.directory import VersionKey
from rowcast.scoring.loaded import Served, open_model
from rowcast.scoring.predict import answered
from rowcast.scoring.requests import RowsToScore

anne = Principal("a", "anne", Role.ANALYST)
for algorithm in ("lightgbm", "linear", "random_forest"):
    key = VersionKey("v", "m", 1, f"bundles/binary/{{algorithm}}", {{
        "lightgbm": {key_of(trained, Problem.BINARY, "lightgbm").bundle_hash!r},
        "linear": {key_of(trained, Problem.BINARY, "linear").bundle_hash!r},
        "random_forest": {key_of(trained, Problem.BINARY, "random_forest").bundle_hash!r},
    }}[algorithm])
    model = open_model(LocalStorage(Path({str(trained)!r})), key)
    answered(Served(model, None), RowsToScore([{{"term": 12}}]))
    if algorithm != "lightgbm":
        answered(Served(model, None), RowsToScore([{{"term": 12}}], explain=True))
heavy = {{"polars", "scipy", "sklearn", "lightgbm", "xgboost", "catboost", "onnx"}}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_many_threads_get_the_reasons_of_their_own_rows(opened: Any, principal: Principal) -> None:
    rows = sent_rows(20)
    for algorithm in ("lightgbm", "catboost"):
        model = opened(Problem.BINARY, algorithm)
        alone = [predict(principal, model, None, [row], explain=True).predictions[0] for row in rows]
        fresh = opened(Problem.BINARY, algorithm)
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(predict, principal, fresh, None, [row], explain=True) for row in rows]
            assert [call.result().predictions[0] for call in calls] == alone


def test_skipped_rows_have_no_reasons_and_others_their_own(opened: Any, principal: Principal) -> None:
    model, rows = opened(Problem.BINARY, "linear"), sent_rows(3)
    mixed = [rows[0], {"term": "many"}, rows[1]]
    found = predict(principal, model, None, mixed, "skip", explain=1).predictions
    assert [answer is None for answer in found] == [False, True, False]
    alone = predict(principal, model, None, [rows[0], rows[1]], explain=1).predictions
    assert [answer for answer in found if answer] == alone


def test_the_json_is_that_of_the_views(opened: Any, principal: Principal) -> None:
    for problem in Problem:
        for algorithm in ("linear", "random_forest"):
            model = opened(problem, algorithm)
            sent = encode(predict(principal, model, "champion", [*sent_rows(2), {"x": 1}], "skip", explain=3))
            view = Predictions.model_validate_json(sent)
            assert json.loads(view.model_dump_json(exclude_unset=True)) == json.loads(sent)


def test_how_many_reasons_may_be_asked_for(opened: Any, principal: Principal) -> None:
    assert decode(b'{"rows": [], "explain": true}', max_rows=1).explain is True
    assert decode(b'{"rows": [], "explain": 3}', max_rows=1).explain == 3
    assert not decode(b'{"rows": []}', max_rows=1).explain
    for wrong in (b"-1", b"1.5", b'"all"', b"null"):
        with pytest.raises(InvalidInput):
            decode(b'{"rows": [], "explain": %s}' % wrong, max_rows=1)
    with pytest.raises(TooLarge):
        predict(principal, opened(Problem.BINARY, "linear"), None, [{"term": 1}] * 1001, explain=1)


def test_a_native_form_that_was_changed_explains_nothing(
    opened: Any, trained: Path, principal: Principal, tmp_path: Path
) -> None:
    import shutil

    copy = tmp_path / "storage"
    shutil.copytree(trained / "bundles", copy / "bundles")
    key = key_of(trained, Problem.BINARY, "lightgbm")
    model = open_model(LocalStorage(copy), key)
    changed = copy / key.bundle_key / "native" / "1" / "model.txt"
    changed.write_text(changed.read_text() + " ")
    with pytest.raises(Unavailable) as caught:
        predict(principal, model, None, [{"term": 1}], explain=1)
    assert caught.value.code == "model_damaged"
    assert predict(principal, model, None, [{"term": 1}]).predictions[0] is not None


def test_hand_made_bundles_without_a_native_form_are_explained_by_occlusion(
    train: Callable[..., int], database: Any, storage: Any, principal: Principal
) -> None:
    from rowcast.scoring.catalog import Catalog

    train()
    model = Catalog(database, storage).get(principal, "loans").model
    (answer,) = predict(
        principal, model, None, [{"State": "NY", "Amount": 2.0, "Urban": True}], explain=True
    ).predictions
    assert answer.explanation.method == "occlusion"
    assert answer.explanation.reasons[0].feature == "Amount"
