"""README.ru.md says what README.md says: the same commands in the same order, the same pages, as many parts."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRANSLATIONS = {"README.ru.md", "README.md"}
"""How the two lead to one another, which is not in both."""


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name):
    """What stands in fences, without what is said beside the commands."""
    found = re.findall(r"^```\w*\n.*?^```$", text(name), re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+# .*$", "", block, flags=re.MULTILINE) for block in found]


def links(name):
    return {link for link in re.findall(r"\]\(([^)]+)\)", text(name)) if link not in TRANSLATIONS}


@pytest.mark.parametrize(
    "told",
    [
        blocks,
        links,
        lambda name: len(re.findall("^## ", text(name), re.MULTILINE)),
        lambda name: sorted(set(re.findall(r"`((?:make|rowcast|ROWCAST_)[^`]*)`", text(name)))),
    ],
    ids=["blocks", "links", "parts", "commands"],
)
def test_both_languages_say_the_same(told):
    assert told("README.ru.md") == told("README.md")


def test_the_two_lead_to_one_another():
    assert "(README.ru.md)" in text("README.md") and "(README.md)" in text("README.ru.md")
