"""Answers as tensors: ``probabilities`` and ``label`` of a classification, ``value`` of a regression."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from rowcast.entrypoints.v2.tensors import TEXT, Asked, Wanted, raw_of
from rowcast.errors import InvalidInput
from rowcast.models.recipe import Problem
from rowcast.scoring.answers import DECIMALS
from rowcast.scoring.loaded import LoadedModel

PROBABILITIES, LABEL, VALUE = "probabilities", "label", "value"
_FEW = 20
"""So many numbers are rounded faster one by one."""


class Form(NamedTuple):
    """An output that a model has: -1 rows of so many columns."""

    name: str
    datatype: str
    columns: int


class Output(NamedTuple):
    """An output of a call, flat and row-major."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    cells: npt.NDArray[np.float32] | list[str]
    binary: bool

    @property
    def values(self) -> list[Any]:
        """The cells as they stand in JSON: numbers as the other doors write them."""
        if isinstance(self.cells, list):
            return self.cells
        if self.name == PROBABILITIES and len(self.cells) <= _FEW:
            return [round(probability, DECIMALS) for probability in self.cells.tolist()]
        if self.name == PROBABILITIES:
            return self.cells.astype(np.float64).round(DECIMALS).tolist()  # type: ignore[no-any-return]
        return [float(str(number)) for number in self.cells]


def forms_of(model: LoadedModel) -> list[Form]:
    """The outputs that a model has."""
    return list(_forms(model.problem, len(model.classes)).values())


@cache
def _forms(problem: Problem, classes: int) -> dict[str, Form]:
    """By name."""
    if problem is Problem.REGRESSION:
        return {VALUE: Form(VALUE, "FP32", 1)}
    return {PROBABILITIES: Form(PROBABILITIES, "FP32", classes), LABEL: Form(LABEL, TEXT, 1)}


def outputs_of(model: LoadedModel, scores: npt.NDArray[np.float32], asked: Asked) -> list[Output]:
    """The outputs that were asked for, from what the model gave, [N, K].

    Raises:
        InvalidInput: the model has no such output, or one is asked for twice.
    """
    forms = _forms(model.problem, len(model.classes))
    wanted = asked.wanted or [Wanted(name, asked.binary) for name in forms]
    if len({one.name for one in wanted}) < len(wanted):
        raise InvalidInput("tensors_invalid", "Two outputs have the same name.")
    return [_output(model, scores, one, forms) for one in wanted]


def _output(model: LoadedModel, scores: npt.NDArray[np.float32], wanted: Wanted, forms: dict[str, Form]) -> Output:
    form = forms.get(wanted.name)
    if form is None:
        there = " and ".join(forms)
        raise InvalidInput("output_unknown", f"There is no such output: this model has {there}.")
    if wanted.classes:
        return _ranked(model, scores, wanted)
    if form.name == LABEL:
        return Output(LABEL, TEXT, (len(scores), 1), labels(model, scores), wanted.binary)
    return Output(form.name, form.datatype, (len(scores), form.columns), scores.reshape(-1), wanted.binary)


def labels(model: LoadedModel, scores: npt.NDArray[np.float32]) -> list[str]:
    """The class of each row, by the rule of ``scoring.answers``: of two the second from 0.5 on, else the likeliest."""
    if model.problem is Problem.BINARY and len(scores) == 1:
        return [model.classes[scores.item(1) >= 0.5]]
    if model.problem is Problem.BINARY:
        return [model.classes[chosen] for chosen in (scores[:, 1] >= 0.5).astype(int).tolist()]
    return [model.classes[chosen] for chosen in scores.argmax(axis=1).tolist()]


def _ranked(model: LoadedModel, scores: npt.NDArray[np.float32], wanted: Wanted) -> Output:
    """Triton's classification extension: ``probability:index:class``, the likeliest first."""
    if wanted.name != PROBABILITIES:
        raise InvalidInput("output_unknown", f"Only '{PROBABILITIES}' can be given as classes.")
    most = min(wanted.classes, len(model.classes))
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :most]
    cells = [
        f"{row[index]:f}:{index}:{model.classes[index]}"
        for row, chosen in zip(scores, ranked.tolist(), strict=True)
        for index in chosen
    ]
    return Output(wanted.name, TEXT, (len(scores), most), cells, wanted.binary)


def render(model: LoadedModel, asked: Asked, receipt: str, outputs: Sequence[Output]) -> tuple[bytes, int | None]:
    """The reply, and how many bytes of it are JSON if binary sections follow, else None."""
    described, sections = [], []
    for output in outputs:
        one: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": output.shape}
        if output.binary:
            sections.append(raw_of(output.cells))
            one["parameters"] = {"binary_data_size": len(sections[-1])}
        else:
            one["data"] = output.values
        described.append(one)
    reply: dict[str, Any] = {"model_name": model.name, "model_version": str(model.number)}
    if asked.id:
        reply["id"] = asked.id
    reply |= {"parameters": {"receipt": receipt}, "outputs": described}
    head = msgspec.json.encode(reply)
    return (b"".join([head, *sections]), len(head)) if sections else (head, None)
