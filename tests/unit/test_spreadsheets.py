"""What a spreadsheet would carry out is text; what is a number stays one."""

from __future__ import annotations

import pytest

from rowcast.spreadsheets import cell


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "-", "- 1"]
)
def test_what_would_be_a_formula_is_text(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "value", ["", "a=b", "5", "-5", "+3.25", "-1e-7", ".5", "-.5", "anna", "'=1", -5, -0.5, None, True]
)
def test_what_is_none_stays_as_it_is(value):
    assert cell(value) is value
