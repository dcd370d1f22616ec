"""What the dashboard says of a table in each language is what the server says of it, with all figures."""

import re

import numpy as np
import pytest

from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets.objects import table_key
from rowcast.datasets.profile.profiling import profile
from rowcast.datasets.reading.importing import import_table
from rowcast.datasets.schema import FeatureSchema
from rowcast.entrypoints.dashboard.formats import Formats
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.data_report import said
from rowcast.entrypoints.dashboard.texts import Texts


def figures(text):
    return set(re.findall(r"\d+(?:[.,\u202f]\d+)*", text.replace("\\", "")))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_warning_tells_in_every_language_what_the_server_tells(tmp_path, language):
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
    storage = LocalStorage(tmp_path)
    storage.put("uploads/1", "\n".join(lines).encode())
    imported = import_table(
        storage, lambda progress: None, source_key="uploads/1", content_hash="h", filename="t.csv", kinds={},
        limits={"max_columns": 100, "max_cell_bytes": 2**20},
    )  # fmt: skip
    with storage.local(table_key("h")) as path:
        found = profile(path, FeatureSchema.model_validate(imported["schema"]), "target").warnings
    assert {warning.code for warning in found} >= {
        "identifier", "free_text", "constant", "all_missing", "mostly_missing", "high_cardinality", "unreadable_values",
        "stray_values", "near_duplicate", "leak", "imbalance", "missing_target",
    }  # fmt: skip
    page = Page(None, Texts(language), Formats(language), {})
    for warning in found:
        text = said(page, warning)
        if warning.code not in ("free_text", "identifier"):  # the server tells why, in words
            told = {figure.replace(",", "\u202f").replace(".", ",") for figure in figures(warning.message)}
            assert (figures(warning.message) if language == "en" else told) <= figures(text), warning.code
        assert plain(warning.column) in text
        assert language == "en" or re.search("[а-я]", text), warning.code
