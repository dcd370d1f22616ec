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


class Output(msgspec.Struct, frozen=True, gc=False):
    """An output of a call, flat and row-major."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    cells: npt.NDArray[np.float32] | list[str]
    binary: bool
    values: list[Any] | None = None
    """The cells as they stand in JSON, where that is known already."""


def values_of(name: str, cells: npt.NDArray[np.float32] | list[str]) -> list[Any]:
    """The cells of an output as they stand in JSON: numbers as the other doors write them."""
    if isinstance(cells, list):
        return cells
    if name == PROBABILITIES and len(cells) <= _FEW:
        return [round(probability, DECIMALS) for probability in cells.tolist()]
    if name == PROBABILITIES:
        return cells.astype(np.float64).round(DECIMALS).tolist()  # type: ignore[no-any-return]
    return [float(str(number)) for number in cells]


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
    if not asked.wanted:
        return [_output(model, scores, form, asked.binary) for form in forms.values()]
    if len({one.name for one in asked.wanted}) < len(asked.wanted):
        raise InvalidInput("tensors_invalid", "Two outputs have the same name.")
    if not forms.keys() >= {one.name for one in asked.wanted}:
        there = " and ".join(forms)
        raise InvalidInput("output_unknown", f"There is no such output: this model has {there}.")
    return [
        _ranked(model, scores, one) if one.classes else _output(model, scores, forms[one.name], one.binary)
        for one in asked.wanted
    ]


class OutputsTogether:
    """The outputs of calls whose rows were run together: what most ask for is made for all of them at once."""

    def __init__(self, model: LoadedModel, scores: npt.NDArray[np.float32]) -> None:
        self._model = model
        self._scores = scores
        self._outputs = [_output(model, scores, form, binary=False) for form in forms_of(model)]
        self._values = [values_of(one.name, one.cells) for one in self._outputs]

    def of(self, asked: Asked, start: int, end: int) -> list[Output]:
        """Those of a call that has the rows from ``start`` to ``end``: see ``outputs_of``."""
        if asked.wanted or asked.binary:
            return outputs_of(self._model, self._scores[start:end], asked)
        return [
            _between(start * one.shape[1], end * one.shape[1], one, values)
            for one, values in zip(self._outputs, self._values, strict=True)
        ]


def _between(start: int, end: int, output: Output, values: list[Any]) -> Output:
    """The output from one cell to another."""
    width = output.shape[1]
    shape = ((end - start) // width, width)
    return Output(output.name, output.datatype, shape, output.cells[start:end], False, values[start:end])


def _output(model: LoadedModel, scores: npt.NDArray[np.float32], form: Form, binary: bool) -> Output:
    name, datatype, columns = form
    if name == LABEL:
        return Output(LABEL, TEXT, (len(scores), 1), labels(model, scores), binary)
    return Output(name, datatype, (len(scores), columns), scores.reshape(-1), binary)


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


class _Described(msgspec.Struct, omit_defaults=True, gc=False):
    """An output in a reply."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, int] | None = None
    data: list[Any] | None = None


class _Reply(msgspec.Struct, omit_defaults=True, gc=False):
    """The JSON of a reply."""

    model_name: str
    model_version: str
    parameters: dict[str, str]
    outputs: list[_Described]
    id: str = ""


def render(model: LoadedModel, asked: Asked, receipt: str, outputs: Sequence[Output]) -> tuple[bytes, int | None]:
    """The reply, and how many bytes of it are JSON if binary sections follow, else None."""
    described, sections = [], []
    for one in outputs:
        if one.binary:
            sections.append(raw_of(one.cells))
            described.append(_Described(one.name, one.datatype, one.shape, {"binary_data_size": len(sections[-1])}))
        else:
            values = values_of(one.name, one.cells) if one.values is None else one.values
            described.append(_Described(one.name, one.datatype, one.shape, None, values))
    reply = _Reply(model.name, str(model.number), {"receipt": receipt}, described, asked.id)
    head = msgspec.json.encode(reply)
    return (b"".join([head, *sections]), len(head)) if sections else (head, None)
