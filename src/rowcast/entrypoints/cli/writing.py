"""Predictions beside their rows: as CSV, as JSON, as a table, and in words."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

from rowcast.entrypoints.cli.reading import Row
from rowcast.models.views import ModelVersionDetail
from rowcast.scoring.views import Interval, Prediction

MOST_CLASSES = 5
"""Classes that are named beside the predicted one."""


class Sink(Protocol):
    """Takes rows with their answers, in order; ``error`` says why a row has none."""

    def add(self, row: Row, prediction: Prediction | None, error: str) -> None: ...

    def close(self) -> None: ...


def columns_of(prediction: Prediction | None, error: str = "") -> Row:
    """What stands beside a row: the prediction, its probability or interval, decision and reasons, as far as there."""
    if prediction is None:
        return {"prediction": None, "error": error}
    found: Row = {"prediction": prediction.value}
    if prediction.probability is not None and prediction.probabilities:
        positive = list(prediction.probabilities)[-1]  # of two classes the second is the positive one
        found[f"probability_{positive}"] = prediction.probability
    elif prediction.probabilities:
        found |= {f"probability_{name}": value for name, value in prediction.probabilities.items()}
    if prediction.interval is not None:
        found |= {"low": prediction.interval.low, "high": prediction.interval.high}
    if prediction.decision is not None:
        decided = {"decision": prediction.decision.color, "expected_profit": prediction.decision.expected_profit}
        found |= {name: value for name, value in decided.items() if value is not None}
    if prediction.explanation is not None:
        found["reasons"] = " ".join(reason.sentence for reason in prediction.explanation.reasons)
        found["notes"] = " ".join(note.message for note in prediction.notes or ())
    return found


@dataclass
class CsvSink:
    """A CSV in the dialect of the one that came in; the header comes from the first row and its answer."""

    file: IO[str]
    delimiter: str
    classes: list[str]
    skips: bool
    columns: list[str] | None = None
    added: list[str] = field(default_factory=list)
    _writer: csv.DictWriter[str] | None = field(default=None, init=False)

    def add(self, row: Row, prediction: Prediction | None, error: str) -> None:
        answer = {_apart(name, row): value for name, value in columns_of(prediction, error).items()}
        self._started(row, answer).writerow({**row, **answer})

    def close(self) -> None:
        return

    def _started(self, row: Row, answer: Row) -> csv.DictWriter[str]:
        if self._writer is None:
            errors = ["error"] if self.skips else []
            names = ["prediction", *probability_columns(self.classes), *self.added, *errors]
            header = list(dict.fromkeys([*(self.columns or row), *(_apart(name, row) for name in names), *answer]))
            self._writer = csv.DictWriter(
                self.file, header, delimiter=self.delimiter, extrasaction="ignore", lineterminator="\n"
            )
            self._writer.writeheader()
        return self._writer


def probability_columns(classes: list[str]) -> list[str]:
    """The names of the columns that ``columns_of`` gives a model of these classes."""
    if not classes:
        return []
    named = classes[-1:] if len(classes) == 2 else classes
    return [f"probability_{name}" for name in named]


@dataclass
class JsonSink:
    """A JSON list with one object to a line, or the same lines alone."""

    file: IO[str]
    lines: bool
    _count: int = field(default=0, init=False)

    def add(self, row: Row, prediction: Prediction | None, error: str) -> None:
        answer = {_apart(name, row): value for name, value in columns_of(prediction, error).items()}
        written = json.dumps({**row, **answer}, ensure_ascii=False, default=str)
        opening = "" if self.lines else ("[\n" if not self._count else ",\n")
        self.file.write(opening + written + ("\n" if self.lines else ""))
        self._count += 1

    def close(self) -> None:
        if not self.lines:
            self.file.write("\n]\n" if self._count else "[]\n")


@contextmanager
def written(path: Path) -> Iterator[IO[str]]:
    """A text file that takes its name when it is whole."""
    import io

    from rowcast.client.uploads import saved

    with saved(path) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", newline="", write_through=False)
        yield text
        text.flush()
        text.detach()


def sentence(prediction: Prediction, about: ModelVersionDetail | None) -> str:
    """One prediction in words."""
    what = about.target if about else "prediction"
    if prediction.probability is not None:
        positive = about.positive_class if about and about.positive_class else "the positive class"
        return (
            f"{what}: {prediction.value}. The probability of {positive} is {100 * prediction.probability:.1f} %"
            f"{odds(prediction.probability)}."
        )
    if prediction.probabilities:
        chances = dict(prediction.probabilities)
        chance = chances.pop(str(prediction.value))
        ranked = sorted(chances.items(), key=lambda item: -item[1])[:MOST_CLASSES]
        others = ", ".join(f"{name}: {100 * share:.1f} %" for name, share in ranked)
        return f"{what}: {prediction.value}, with a probability of {100 * chance:.1f} % ({others})."
    return f"{what}: {_number(prediction.value)}.{_between(prediction.interval)}"


def _between(interval: Interval | None) -> str:
    if interval is None:
        return ""
    share = f"{100 * interval.level:.0f} %"
    return f" In {share} of such cases the true one lies between {_number(interval.low)} and {_number(interval.high)}."


def odds(probability: float) -> str:
    """``, about 1 in 8`` or ``, about 3 in 10``, where that is easier to picture than a percentage."""
    if not 0.001 <= probability <= 0.45:
        return ""
    if probability > 0.22:
        return f", about {round(10 * probability)} in 10"
    return f", about 1 in {round(1 / probability)}"


def _number(value: Any) -> str:
    if not isinstance(value, float):
        return f"{value:,}"
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def _apart(name: str, row: Row) -> str:
    return f"rowcast_{name}" if name in row else name
