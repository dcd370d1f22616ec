"""What the dashboard says of a table in each language is what the server says of it, with all figures."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import rowcast.datasets.inference as inference
from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.objects import table_key
from rowcast.datasets.profile.profiling import profile
from rowcast.datasets.reading.importing import import_table
from rowcast.datasets.schema import FeatureSchema
from rowcast.entrypoints.dashboard.formats import Formats
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.retelling import remark
from rowcast.entrypoints.dashboard.telling import said, why_kind, why_left_out
from rowcast.entrypoints.dashboard.texts import Texts, catalogue
from rowcast.models.recipe import Recipe
from rowcast.models.train.columns import choose


def figures(text):
    return set(re.findall(r"\d+(?:[.,\u202f]\d+)*", text.replace("\\", "")))


@pytest.fixture(scope="module")
def examined(tmp_path_factory):
    """The schema of a table with much to beware of, and its profile for a target."""
    rng = np.random.default_rng(0)
    rows = 400
    bad = rng.random(rows) < 0.09
    table = {
        "id": [f"a{number:05}" for number in range(rows)],
        "note": [" ".join(rng.choice(["good", "bad", "late", "paid", "old"], 9)) + str(n) for n in range(rows)],
        "same": ["x"] * rows,
        "empty": [""] * rows,
        "sparse": ["1" if number % 8 == 0 else "" for number in range(rows)],
        "many": [f"town {number % 250} of {number % 250}" for number in range(rows)],
        "amount": [f"{value:.2f}" for value in rng.normal(1000, 50, rows - 2)] + ["n.n.", "??"],
        "code": ["Y" if value else "N" for value in rng.random(rows - 3) < 0.5] + ["7", "7", "0"],
        "when": [f"2020-01-{number % 28 + 1:02}" if each else "" for number, each in enumerate(bad)],
        "target": ["bad" if each else "good" for each in bad[:-1]] + [""],
    }
    table["double"] = [f"{float(value) * 2:.2f}" if value[0].isdigit() else "" for value in table["amount"]]
    lines = [",".join(table), *(",".join(cells) for cells in zip(*table.values(), strict=True))]
    storage = LocalStorage(tmp_path_factory.mktemp("examined"))
    storage.put("uploads/1", "\n".join(lines).encode())
    imported = import_table(
        storage, lambda progress: None, source_key="uploads/1", content_hash="h", filename="t.csv", kinds={},
        limits={"max_columns": 100, "max_cell_bytes": 2**20},
    )  # fmt: skip
    schema = FeatureSchema.model_validate(imported["schema"])
    with storage.local(table_key("h")) as path:
        return schema, profile(path, schema, "target")


@pytest.fixture(params=["en", "ru"])
def page(request):
    return Page(None, Texts(request.param), Formats(request.param), {})


def in_language(page, text):
    return page.t.language == "en" or re.search("[а-я]", text)


def told_figures(page, text):
    """The figures of the server's text as the page's language writes them."""
    written = figures(text)
    return {each.replace(",", "\u202f").replace(".", ",") for each in written} if page.t.language == "ru" else written


def test_a_warning_tells_in_every_language_what_the_server_tells(examined, page):
    found = examined[1].warnings
    assert {warning.code for warning in found} >= {
        "identifier", "free_text", "constant", "all_missing", "mostly_missing", "high_cardinality", "unreadable_values",
        "stray_values", "near_duplicate", "leak", "imbalance", "missing_target",
    }  # fmt: skip
    for warning in found:
        text = said(page, warning)
        if warning.code not in ("free_text", "identifier"):  # the server tells why, in words
            assert told_figures(page, warning.message) <= figures(text), warning.code
        assert plain(warning.column) in text
        assert in_language(page, text), warning.code


def test_why_a_column_has_its_kind_is_told_in_every_language(examined, page):
    for feature in examined[0].features:
        text = why_kind(page, feature)
        example = str(feature.reason_values.get("example", ""))
        assert example in text and in_language(page, text), feature.name
        assert told_figures(page, feature.reason.replace(example, "")) <= figures(text.replace(example, ""))
        before = feature.model_copy(update={"reason_code": "", "reason_values": {}})
        assert why_kind(page, before) == feature.reason


def test_every_reason_of_a_kind_has_words():
    sources = Path(inference.__file__).parent.glob("*.py")
    calls = [node for path in sources for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    codes = {ast.literal_eval(call.args[0]) for call in calls
             if getattr(call.func, "id", "") == "Reason" and isinstance(call.args[0], ast.Constant)}  # fmt: skip
    known = {key.split(".")[1] for key in catalogue("en") if key.startswith("column_reason.")}
    assert codes | {"numbers", "percentages", "money"} == known


def test_why_a_column_was_left_out_is_told_in_every_language(examined, page):
    schema, found = examined
    choices = [
        choose(Recipe(target="target", exclude=["many"]), schema, found),
        choose(Recipe(target="target"), schema, found.model_copy(update={"warnings": []})),
        choose(Recipe(target="target", features=["amount"]), schema, found),
    ]
    left_out = [each for choice in choices for each in choice.left_out]
    assert {each.code for each in left_out} >= {"as_asked", "not_asked", "not_trainable", "leak", "constant"}
    for each in left_out:
        text = why_left_out(page, each)
        assert each.column in text and in_language(page, text), each.code
        assert each.reason in why_left_out(page, each.model_copy(update={"code": "", "values": {}})).replace("\\", "")


def test_a_column_used_in_spite_of_a_warning_is_remarked_on_in_every_language(examined, page):
    schema, found = examined
    choice = choose(Recipe(target="target", include=["same", "empty", "when", "sparse"]), schema, found)
    assert len(choice.warnings) >= 3
    for text in choice.warnings:
        told = remark(page, text)
        assert in_language(page, told) and told_figures(page, text) <= figures(told)
        assert page.t.language == "en" or "training" not in told.lower(), told
