"""What the pages of data and training draw and send: the figures of the API, and what was changed on the page."""

from datetime import UTC, datetime

from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.datasets.views import ColumnProfile, DatasetVersionDetail, Histogram, TableProfile, TableWarning, TopValue
from rowcast.entrypoints.dashboard.formats import Formats
from rowcast.entrypoints.dashboard.page import Page
from rowcast.entrypoints.dashboard.pages.data import changes, column_rows
from rowcast.entrypoints.dashboard.pages.data_report import association_rows, bins
from rowcast.entrypoints.dashboard.pages.data_versions import differences
from rowcast.entrypoints.dashboard.pages.train import chosen_columns
from rowcast.entrypoints.dashboard.pages.train_curves import confusion_rows, importance_rows, line_rows
from rowcast.entrypoints.dashboard.pages.train_dependence import curves_of, density_rows, point_rows
from rowcast.entrypoints.dashboard.pages.train_form import differs
from rowcast.entrypoints.dashboard.pages.train_run import fold_rows
from rowcast.entrypoints.dashboard.texts import Texts
from rowcast.models.recipe import Problem
from rowcast.models.train.progress import TrainingProgress
from rowcast.models.views import Hyperparameter

PAGE = Page(None, Texts("en"), Formats("en"), {})


def column(name, kind=Kind.NUMBER, *, missing=0, mean=None, std=None, **more):
    return ColumnProfile(name=name, kind=kind, count=100, missing=missing, distinct=9, mean=mean, std=std, **more)


def version(*columns, number=1):
    features = tuple(Feature(name=each.name, kind=each.kind) for each in columns)
    return DatasetVersionDetail(
        dataset="loans", number=number, content_hash="0" * 64, filename="loans.csv", size_bytes=1, row_count=100,
        column_count=len(columns), created_at=datetime.now(UTC), created_by="ada",
        table_schema=FeatureSchema(features=features), profile=TableProfile(row_count=100, columns=list(columns)),
    )  # fmt: skip


def test_only_what_was_changed_is_saved():
    top = [TopValue(value="12", count=9), TopValue(value="7", count=3)]
    rows = column_rows(
        PAGE, version(column("amount", missing=25, top=top), column("city", Kind.TEXT)), {"amount": "how much"}
    )
    assert [(row["name"], row["kind"], row["missing"], row["examples"]) for row in rows] == [
        ("amount", "number", 25.0, "12, 7"), ("city", "text", 0.0, ""),
    ]  # fmt: skip
    assert changes(rows, {}) == ({}, {})
    assert changes(rows, {1: {"kind": "text"}}) == ({}, {})
    assert changes(rows, {1: {"kind": "category"}}) == ({"city": "category"}, {})
    assert changes(rows, {1: {"meaning": " where "}}) == ({}, {"amount": "how much", "city": "where"})
    assert changes(rows, {0: {"meaning": None}, 1: {"meaning": "where"}}) == ({}, {"city": "where"})


def test_differences_of_two_versions_name_column_and_kind_of_change():
    old = version(
        column("amount", mean=10.0, std=2.0), column("gone"), column("kind", Kind.TEXT), column("same", missing=1)
    )
    new = version(column("amount", mean=10.5, std=2.0, missing=50), column("kind", Kind.CATEGORY), column("new"),
                  column("same", missing=1), number=2)  # fmt: skip
    assert [(each["column"], each["what"], each["before"], each["after"]) for each in differences(old, new)] == [
        ("amount", "missing", 0.0, 0.5), ("amount", "mean", 10.0, 10.5), ("gone", "removed", "", ""),
        ("kind", "kind", "text", "category"), ("new", "added", "", ""),
    ]  # fmt: skip
    assert differences(old, old) == []


def test_the_report_draws_the_figures_of_the_profile():
    columns = [column("a", association=0.6), column("b", association=0.9, correlation=-0.4), column("c")]
    warning = TableWarning(code="leak", column="b", message="b was filled in afterwards.", exclude=True)
    profile = TableProfile(row_count=100, columns=columns, warnings=[warning], target="y")
    assert association_rows(profile) == [
        {"column": "b", "association": 0.9, "correlation": -0.4, "left_out": True},
        {"column": "a", "association": 0.6, "correlation": None, "left_out": False},
    ]
    day = column("day", Kind.DATE, histogram=Histogram(edges=[0.0, 1.0, 3.0], counts=[4, 5]))
    assert bins(day) == [{"low": 0.0, "high": 86_400_000.0, "count": 4},
                         {"low": 86_400_000.0, "high": 259_200_000.0, "count": 5}]  # fmt: skip


def test_columns_are_learned_from_as_they_are_ticked():
    rows = [{"name": "a", "use": True, "optional": False}, {"name": "leak", "use": False, "optional": False}]

    def asked(**columns):
        return {"include": [], "exclude": [], "optional": []} | columns

    assert chosen_columns(rows, {}) == asked()
    assert chosen_columns(rows, {0: {"optional": True}, 1: {"use": True}}) == asked(include=["leak"], optional=["a"])
    assert chosen_columns(rows, {0: {"use": False, "optional": True}}) == asked(exclude=["a"])


def test_a_hyperparameter_is_sent_when_it_differs_from_its_default():
    knob = Hyperparameter(name="depth", type="integer", default=6, description="How deep.")
    assert [differs(knob, values) for values in ({"depth": 6}, {"depth": None}, {}, {"depth": 3})] == [
        False, False, False, True,
    ]  # fmt: skip


def test_one_look_at_a_training_shows_every_fold_that_is_done():
    told = []
    progress = TrainingProgress(told.append)
    progress.begin(2, 3, Problem.BINARY)
    for algorithm, fraction, fold, score in [
        ("linear", 1.0, 1, 0.7), ("lightgbm", 1.0, 1, 0.8), ("linear", 1.0, 2, 0.75), ("lightgbm", 0.5, 2, None),
    ]:  # fmt: skip
        progress.step(algorithm, fraction, fold, score)

    rows = fold_rows(PAGE, told[-1])
    assert [[*row.values()] for row in rows] == [["linear", "0.700", "0.750", ""], ["lightgbm", "0.800", "", ""]]
    assert fold_rows(PAGE, None) == []


def test_curves_are_the_figures_of_the_evaluation():
    evaluation = {
        "roc": {"fpr": [0.0, 1.0], "tpr": [0.0, 1.0]},
        "confusion": {"labels": ["no", "yes"], "matrix": [[8, 2], [0, 0]]},
        "importance": [{"feature": "a", "mean": 0.1}, {"feature": "b", "mean": 0.3}],
    }
    assert line_rows({"1": evaluation, "2": {}}, "roc", "fpr", "tpr") == [
        {"version": "1", "place": 0, "x": 0.0, "y": 0.0}, {"version": "1", "place": 1, "x": 1.0, "y": 1.0},
    ]  # fmt: skip
    cells = confusion_rows(evaluation)
    assert [(cell["actual"], cell["predicted"], cell["count"], cell["share"]) for cell in cells] == [
        ("no", "no", 8, 0.8), ("no", "yes", 2, 0.2), ("yes", "no", 0, 0.0), ("yes", "yes", 0, 0.0),
    ]  # fmt: skip
    assert [row["feature"] for row in importance_rows(evaluation)] == ["b", "a"]
    assert confusion_rows({}) == importance_rows({}) == []


def test_partial_dependence_is_drawn_as_the_api_gave_it():
    curve = {
        "feature": "age", "kind": "number", "values": [20.0, 30.0, None], "averages": {"bad": [0.1, 0.2, 0.4]},
        "counts": [None, None, 7], "histogram": {"edges": [20.0, 25.0, 30.0], "counts": [3, 4]},
    }  # fmt: skip
    curves = curves_of({"1": {"partial_dependence": [curve]}, "2": {"importance": []}}, "age")
    rows = point_rows(curves, "bad")
    assert [(row["version"], row["value"], row["y"]) for row in rows] == [
        ("1", 20.0, 0.1), ("1", 30.0, 0.2), ("1", None, 0.4)
    ]  # fmt: skip
    assert rows[-1]["count"] == 7
    assert density_rows(curve) == [{"low": 20.0, "high": 25.0, "count": 3}, {"low": 25.0, "high": 30.0, "count": 4}]
