"""The built-in example: loans of the U.S. Small Business Administration, from the table to a model that decides."""

from __future__ import annotations

from importlib.resources import as_file, files

import yaml

from rowcast.client import Client
from rowcast.datasets.ports import Progress, Report
from rowcast.models.decide.policy import Bands
from rowcast.models.views import TrainingResult

NAME = "sba_loans"
TARGET = "MIS_Status"
ALGORITHMS = ("baseline", "linear", "lightgbm")
BANDS = Bands(of="CHGOFF", measure="probability", yellow=0.15, red=0.3)
"""So that the first prediction comes with a colour; what the bands should be, people decide."""

_DICTIONARIES = {"en": f"{NAME}.dictionary.yaml", "ru": f"{NAME}.dictionary.ru.yaml"}

_UPLOADED = 0.4
"""Share of the work that is done when the table is there."""


def load_and_train(client: Client, report: Report, language: str = "en") -> TrainingResult:
    """Upload the table with its dictionary in that language and train on it; what comes out best serves, with bands.
    About ten seconds of work."""

    def part(begin: float, end: float) -> Report:
        def told(progress: Progress) -> None:
            fraction = begin + (end - begin) * progress.fraction
            report(progress.model_copy(update={"fraction": fraction, "eta_seconds": None}))

        return told

    folder = files("rowcast.examples")
    with as_file(folder / f"{NAME}.csv") as table:
        client.datasets.add(table, name=NAME, description="SBA loans, 1987-2014", progress=part(0.0, _UPLOADED))
    dictionary = yaml.safe_load((folder / _DICTIONARIES[language]).read_text(encoding="utf-8"))
    client.datasets.set_dictionary(NAME, dictionary)
    asked = {"dataset": NAME, "target": TARGET, "model": NAME, "algorithms": list(ALGORITHMS), "preset": "fast"}
    result = client.train_and_wait(**asked, promote=True, progress=part(_UPLOADED, 1.0))
    client.policies.set(NAME, bands=BANDS)
    return result
