"""Sentences of the server without a code: known to the letter by the dashboard, and told in every language."""

import ast
import re
from pathlib import Path

import pytest

import rowcast
import rowcast.models.train as train
from rowcast.datasets.schema import Feature, FeatureSchema, Kind
from rowcast.entrypoints.dashboard.formats import Formats
from rowcast.entrypoints.dashboard.page import Page, plain
from rowcast.entrypoints.dashboard.pages.administration_audit import actions, told
from rowcast.entrypoints.dashboard.pages.models_card import card_of
from rowcast.entrypoints.dashboard.retelling import about_algorithm, remark
from rowcast.entrypoints.dashboard.texts import LANGUAGES, Texts, catalogue
from rowcast.models.algorithms import listing
from rowcast.models.bundle.card import write_card
from rowcast.models.bundle.contents import Manifest
from rowcast.models.calibrate.choice import Calibration, Figures
from rowcast.models.calibrate.maps import CalibrationMap
from rowcast.models.views import LeftOut, ModelVersionDetail

PAGES = {language: Page(None, Texts(language), Formats(language), {}) for language in LANGUAGES}
RUSSIAN = PAGES["ru"]


@pytest.fixture(params=PAGES)
def page(request):
    return PAGES[request.param]


def in_language(page, text):
    return page.t.language == "en" or re.search("[а-я]", text)


def as_written(node):
    """A text of the program with {} for each value."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    marks = {-1: "{}", ord("r"): "'{}'"}
    return "".join(part.value if isinstance(part, ast.Constant) else marks[part.conversion] for part in node.values)


def test_remarks_of_a_training_are_known_by_how_the_server_says_them(page):
    sources = Path(train.__file__).parent.glob("*.py")
    nodes = [node for path in sources for node in ast.walk(ast.parse(path.read_text()))]
    written = {as_written(node) for node in nodes if isinstance(node, ast.Constant | ast.JoinedStr)}
    for key, template in catalogue("en").items():
        if key.startswith("remark."):
            assert re.sub(r"\{\w+\}", "{}", template) in written, key
            names = set(re.findall(r"\{(\w+)\}", template))
            text = remark(page, template.format(**{name: f"<{name}>" for name in names}))
            assert in_language(page, text) and all(plain(f"<{name}>") in text for name in names), key
    assert remark(page, "Something *new*.") == plain("Something *new*.")


def test_what_algorithms_say_of_themselves_is_told_in_every_language(page):
    said = [each.description for each in listing()]
    said += [knob.description for each in listing() for knob in each.hyperparameters]
    for text in said:
        told = about_algorithm(page, text)
        assert in_language(page, told), text
        assert page.t.language == "ru" or told.replace("\\", "") == text


def test_every_deed_has_words():
    calls = [node for path in Path(rowcast.__file__).parent.rglob("*.py") if path.parent.name not in ("v1", "inference")
             for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]  # fmt: skip
    named = {each.value for call in calls if getattr(call.func, "attr", getattr(call.func, "id", "")) == "record"
             for argument in call.args for each in ast.walk(argument)
             if isinstance(each, ast.Constant) and re.fullmatch(r"[a-z]+\.[a-z_]+", str(each.value))}  # fmt: skip
    assert named | {"model.promoted", "model.alias_removed"} == set(actions())


def test_details_of_deeds_are_told_by_what_they_are_of():
    assert told(RUSSIAN, "kind", "predict") == "Прогнозы"
    assert told(RUSSIAN, "scopes", ["predict", "read"]) == "получать прогнозы, смотреть"
    assert told(RUSSIAN, "invited", False) == "нет"
    assert told(RUSSIAN, "users", []) == told(RUSSIAN, "monthly", None) == "—"


def version(problem, *, method="none", runtime="onnx", study=None, origin=None, recipe=None):
    """A version with the card that its bundle would have."""
    classes = {"binary": ["kept", "lost"], "multiclass": ["a", "b", "c"], "regression": []}[problem]
    left_out = [LeftOut(column=f"c{place}", reason="left out as asked", code="as_asked") for place in range(17)]
    features = (Feature(name="Data", kind=Kind.NUMBER, minimum=1.0, maximum=5.9e6, description="$1 and 2 to 3"),
                Feature(name="when", kind=Kind.DATE, minimum="2014-03-10", maximum="2015-03-10"),
                Feature(name="town", kind=Kind.CATEGORY, categories=("x", "y")))  # fmt: skip
    metric = {"name": "rmse" if problem == "regression" else "roc_auc", "value": 0.8174, "low": 0.8075, "high": 0.8272}
    figures = Figures(log_loss=0.4, brier=0.1, ece=0.02)
    map_ = CalibrationMap(method=method)
    manifest = Manifest(
        algorithm="linear", problem=problem, target="y", classes=classes, positive_class=None, runtime=runtime,
        dataset={"name": "t", "version": 2, "content_hash": "h"}, row_count=240, hyperparameters={},
        recipe={"target": "y"} | (recipe or {}), metrics=[metric], left_out=left_out, libraries={}, origin=origin,
        parity={"max_difference": 0.0, "rows": 1, "passed": True, "reason": "r" if runtime == "native" else None},
        calibration=Calibration(map=map_, before=figures, after=figures, log_loss_by_method={}) if classes else None,
        intervals=None if classes else {"method": "absolute", "half_widths": {}, "coverage": {"0.9": 0.91}},
        created_at="2026-11-22T10:00:00",
    )  # fmt: skip
    importance = [{"feature": "town", "mean": 0.02}] * 17
    remarks = ["2 folds instead of 5: the smallest class has 3 rows."]
    schema = FeatureSchema(features=features)
    card = write_card(manifest, schema, {"study": study, "importance": importance}, remarks, "Linear")
    return ModelVersionDetail.model_construct(card=card, left_out=left_out)


STUDY = {"trials": 40, "searched_rows": 4000, "held_out_rows": 1000,
         "estimate": [{"name": "roc_auc", "value": 0.8, "low": 0.7, "high": 0.9}],
         "default_estimate": [{"name": "roc_auc", "value": 0.79}]}  # fmt: skip
ENSEMBLE = {"ensemble": [{"algorithm": "lightgbm", "weight": 0.5, "hyperparameters": {}}] * 2}


@pytest.mark.parametrize(
    "made",
    [version("binary", method=method) for method in ("none", "sigmoid", "isotonic", "temperature", "per_class")]
    + [version("multiclass", runtime="native", recipe={"imbalance": "balanced"}), version("regression"),
       version("binary", study=STUDY, recipe=ENSEMBLE), version("binary", origin="mlflow:shop")],
)  # fmt: skip
def test_a_model_card_is_told_in_russian_but_for_names(made):
    names = r"`[^`]*`|\*\*[^*]*\*\*|SHA-256|Rowcast|JSON|pickle|mlflow\\:shop|ROC AUC|lightgbm|kept|\\\$1 and 2 to 3"
    told = card_of(RUSSIAN, made)
    assert re.findall(r"[A-Za-z]{3,}", re.sub(names + r"|\| (Data|when|town) \|", "", told)) == []
    assert "| Data | число | от 1 до 5 900 000 |" in told.replace("\u202f", " ")
    assert "и ещё 2" in told and "от 10.03.2014 до 10.03.2015" in told


def test_in_english_a_card_is_as_it_was_written_with_figures_called_as_elsewhere():
    made = version("binary", study=STUDY)
    told = card_of(PAGES["en"], made).replace("\\", "")
    assert "| ROC AUC | 0.8174 | 0.8075 to 0.8272 |" in told
    assert "The best of 40 trials on 4,000 rows. What wins a search looks better there than it is" in told


@pytest.mark.parametrize("named", ["a [x](javascript:f(1)) ![i](http://evil/x.png)", ":red[text] :material/delete:"])
def test_names_in_a_card_are_no_links_pictures_or_icons(page, named):
    made = version("binary")
    told = card_of(page, made.model_copy(update={"card": made.card.replace("town", named)}))
    assert not re.search(r"(?<!\\)[\[\]!]", re.sub(r"`[^`]*`", "", told))
    assert not re.search(r"(?<!\\):(red|material)", told)


def test_a_sentence_longer_than_any_is_not_searched_for_values():
    hostile = "q cells of " * 110 + " do not read as " * 110 + " and count as missing (first in rows " * 70
    assert remark(RUSSIAN, hostile) == plain(hostile)
