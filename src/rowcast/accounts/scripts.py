"""Writing systems: names in several of them at once are how one is passed off as another, as in "аnna" with a Cyrillic
letter.

The rule is the "highly restrictive" profile of Unicode Technical Standard 39, section 5.2, without its table of allowed
signs: letters of one script, or of Latin together with those that are written with it in Chinese, Japanese or Korean;
and digits of one system (5.3). Two names in different scripts that look alike as a whole are not told apart by it.
"""

from __future__ import annotations

import unicodedata

_WITH_LATIN = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
_OF_NONE = frozenset({"MODIFIER", "IDEOGRAPHIC", "KATAKANA-HIRAGANA"})
"""Marks among the letters that go with several scripts."""


def same_form(name: str) -> str:
    """The name in Unicode's form NFKC, in which most of what looks the same is the same, without spaces around it."""
    return unicodedata.normalize("NFKC", name).strip()


def is_mixed(name: str) -> bool:
    """Whether the name has letters of scripts, or digits of systems, that are not written together."""
    scripts = {_script(sign) for sign in name if sign.isalpha()} - _OF_NONE
    zeros = {ord(sign) - unicodedata.decimal(sign) for sign in name if sign.isdecimal()}
    return len(zeros) > 1 or (len(scripts) > 1 and not any(scripts <= together for together in _WITH_LATIN))


def _script(letter: str) -> str:
    """Named first in the letter's name: Python knows no other property that tells it."""
    return unicodedata.name(letter, "").partition(" ")[0]
