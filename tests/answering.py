"""Answers of a loaded model as tests want them: without the numbers behind them, and no receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rowcast.accounts.principal import Principal
from rowcast.scoring.answers import Answers
from rowcast.scoring.deciding import Decider
from rowcast.scoring.loaded import LoadedModel, Served
from rowcast.scoring.predict import answered
from rowcast.scoring.requests import RowsToScore
from rowcast.scoring.what_if import WhatIf, compared, rows_of


def predict(
    principal: Principal,
    model: LoadedModel,
    alias: str | None,
    rows: Sequence[Any],
    on_error: str = "fail",
    *,
    explain: bool | int = False,
    decider: Decider | None = None,
) -> Answers:
    served = Served(model, alias, decider)
    return answered(served, RowsToScore(list(rows), on_error, explain))[0]


def what_if(
    principal: Principal,
    model: LoadedModel,
    alias: str | None,
    row: Mapping[str, Any],
    variations: Sequence[Mapping[str, Any]],
) -> WhatIf:
    return compared(predict(principal, model, alias, rows_of(row, variations)), variations)
