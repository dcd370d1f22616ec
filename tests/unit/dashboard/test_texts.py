"""The catalogues: every text is there in every language, is used, and takes the same values."""

import ast
import string
from pathlib import Path

import pytest

import rowcast
import rowcast.entrypoints.dashboard as dashboard
from rowcast.entrypoints.dashboard.texts import FORMS, LANGUAGES, Texts, catalogue, language_of

SOURCES = sorted(Path(dashboard.__file__).parent.rglob("*.py"))
KEYS = {language: catalogue(language) for language in LANGUAGES}


def without_form(key):
    """The key by which the program asks: the forms of words that follow a number go by one."""
    name, _, last = key.rpartition(".")
    return name if last in FORMS and all(f"{name}.{form}" in KEYS["en"] for form in ("one", "other")) else key


def asked_for():
    """What the program asks for: whole keys, and the constant beginnings of those that are put together."""
    whole, beginnings = {}, {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                whole.setdefault(node.value, path.name)
            first = node.args[0] if isinstance(node, ast.Call) and node.args else None
            if isinstance(first, ast.JoinedStr) and isinstance(first.values[0], ast.Constant) and of_texts(node):
                beginnings.setdefault(str(first.values[0].value), path.name)
    return whole, beginnings


def of_texts(call):
    """Whether it asks for a text: ``t(...)``, ``page.t(...)``, ``t.count(...)`` or ``t.get(...)``."""
    function = call.func
    owner = function.value if isinstance(function, ast.Attribute) and function.attr in ("count", "get") else function
    return (owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")) == "t"


def called_with():
    """Keys that are asked for as ``t("key")`` or ``page.t("key")``, wherever that is."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant) and of_texts(node):
                yield node.args[0].value, f"{path.name}:{node.lineno}"


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_language_has_the_same_texts():
    english = {without_form(key) for key in KEYS["en"]}
    for language in LANGUAGES:
        assert {without_form(key) for key in KEYS[language]} == english, language


def test_every_text_that_is_asked_for_is_there():
    known = {without_form(key) for key in KEYS["en"]}
    assert [(key, place) for key, place in called_with() if key not in known] == []


def test_every_text_is_asked_for():
    whole, beginnings = asked_for()
    keys = {without_form(key) for key in KEYS["en"]}
    unused = {key for key in keys - whole.keys() if not any(key.startswith(each) for each in beginnings)}
    assert unused == set()


def test_a_text_takes_the_same_values_in_every_language():
    for key, text in KEYS["en"].items():
        if without_form(key) == key:
            assert fields(KEYS["ru"][key]) == fields(text), key


def test_faults_are_those_of_the_product():
    sources = "".join(path.read_text() for path in Path(rowcast.__file__).parent.rglob("*.py"))
    codes = [key.removeprefix("fault.") for key in KEYS["ru"] if key.startswith("fault.")]
    assert [code for code in codes if f'"{code}"' not in sources] == []
    assert all(KEYS["ru"][f"fault.{code}"] for code in codes)


def test_words_after_a_number_have_every_form_of_their_language():
    for language, forms in {"en": {"one", "other"}, "ru": {"one", "few", "many"}}.items():
        counted = {without_form(key) for key in KEYS[language] if without_form(key) != key}
        for name in counted:
            assert {form for form in FORMS if f"{name}.{form}" in KEYS[language]} == forms, (language, name)


@pytest.mark.parametrize(
    ("number", "english", "russian"),
    [(1, "1 more remark", "Ещё 1 замечание"), (3, "3 more remarks", "Ещё 3 замечания"),
     (5, "5 more remarks", "Ещё 5 замечаний"), (11, "11 more remarks", "Ещё 11 замечаний"),
     (21, "21 more remarks", "Ещё 21 замечание"), (112, "112 more remarks", "Ещё 112 замечаний")],
)  # fmt: skip
def test_words_follow_a_number_in_its_form(number, english, russian):
    assert Texts("en").count("data.more_warnings", number, str(number)) == english
    assert Texts("ru").count("data.more_warnings", number, str(number)) == russian


def test_the_language_is_the_chosen_one_else_the_browser_s_else_english():
    assert language_of("ru", "en-US") == "ru"
    assert language_of(None, "ru-RU") == "ru"
    assert language_of("xx", "de-DE") == "en"
    assert language_of(None, None) == "en"
