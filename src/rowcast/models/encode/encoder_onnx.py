"""The encoder as ONNX nodes: the same arithmetic as ``encoder.py``, checked against it at every export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rowcast.models.encode.calendar_parts import calendar_nodes
from rowcast.models.encode.encoder import Encoder
from rowcast.models.encode.onnx_graph import ML, OnnxGraph
from rowcast.models.encode.quantiles import Quantiles
from rowcast.models.encode.same_levels import SameLevels
from rowcast.models.encode.word_tables import WordTable


@dataclass
class SharedColumns:
    """What all encoders of one graph compute alike, made once: the numeric columns before anything fitted."""

    tensors: dict[tuple[str, ...], str] = field(default_factory=dict)

    def numeric(self, graph: OnnxGraph, encoder: Encoder) -> str:
        columns = (*encoder.numbers, *encoder.dates)  # a date is never also a number
        if columns not in self.tensors:
            blocks = [graph.concat(encoder.numbers)] if encoder.numbers else []
            if encoder.dates:
                days = graph.concat(encoder.dates)
                blocks += [calendar_nodes(graph, days, len(encoder.dates)), days]
            self.tensors[columns] = graph.concat(blocks)
        return self.tensors[columns]


def encoder_nodes(graph: OnnxGraph, encoder: Encoder, shared: SharedColumns) -> str:
    """Append the encoder; its matrix, float32 [N, len(encoder.sources())]."""
    values = [_lookup(graph, table.name, table.values, table.other) for table in encoder.tables]
    blocks: list[str] = []
    indicators: list[str] = []
    if encoder.fill:
        numeric = shared.numeric(graph, encoder)
        missing = graph.add("IsNaN", numeric)
        if encoder.indicators:
            chosen = graph.add("Gather", missing, graph.constant(encoder.indicators, np.int64), axis=1)
            indicators.append(graph.add("Cast", chosen, to=1))
        blocks.append(_filled(graph, encoder, _clipped(graph, encoder, numeric), missing))
    blocks += [values[i] for i in encoder.value_tables]
    if encoder.quantiles is not None and blocks:
        blocks = [_quantile_nodes(graph, encoder.quantiles, graph.concat(blocks))]
    words = [_words(graph, table) for table in encoder.words]
    same = [] if encoder.same is None else _same_levels(graph, encoder.same)
    return graph.concat(blocks + indicators + _one_hot(graph, encoder, values) + words + same)


def _lookup(graph: OnnxGraph, name: str, values: Mapping[str, float], other: float) -> str:
    return graph.add(
        "LabelEncoder",
        name,
        domain=ML,
        keys_strings=[level.encode() for level in values] or [b""],
        values_floats=np.array(list(values.values()) or [other], dtype=np.float32),
        default_float=float(np.float32(other)),
    )


def _words(graph: OnnxGraph, table: WordTable) -> str:
    codes, matrix = table.patterns
    code = graph.add("Cast", _lookup(graph, table.name, codes, 0.0), to=7)
    return graph.add("GatherND", graph.constant(matrix), code)


def _same_levels(graph: OnnxGraph, same: SameLevels) -> list[str]:
    codes = [_lookup(graph, name, same.codes, same.other(place)) for place, name in enumerate(same.names)]
    return [graph.add("Cast", graph.add("Equal", codes[first], codes[second]), to=1) for first, second in same.pairs]


def _clipped(graph: OnnxGraph, encoder: Encoder, numeric: str) -> str:
    if encoder.limits is None:
        return numeric
    low, high = (graph.constant(np.array([ends], dtype=np.float32)) for ends in encoder.limits)
    # By comparison, for NaN then stays as it is.
    above = graph.add("Where", graph.add("Less", numeric, low), low, numeric)
    return graph.add("Where", graph.add("Greater", above, high), high, above)


def _filled(graph: OnnxGraph, encoder: Encoder, numeric: str, missing: str) -> str:
    fill = np.array(encoder.fill, dtype=np.float32).reshape(1, -1)
    return numeric if np.isnan(fill).all() else graph.add("Where", missing, graph.constant(fill), numeric)


def _one_hot(graph: OnnxGraph, encoder: Encoder, values: list[str]) -> list[str]:
    if not encoder.one_hot:
        return []
    tables = sorted({table for table, _ in encoder.one_hot})
    codes = graph.concat([values[table] for table in tables])
    places = [tables.index(table) for table, _ in encoder.one_hot]
    spread = graph.add("Gather", codes, graph.constant(places, np.int64), axis=1)
    levels = graph.constant(np.array([[code for _, code in encoder.one_hot]], dtype=np.float32))
    return [graph.add("Cast", graph.add("Equal", spread, levels), to=1)]


def _quantile_nodes(graph: OnnxGraph, quantiles: Quantiles, matrix: str) -> str:
    """Sum over the segments between knots of how far into each the value is, times the segment's rise."""
    segments = max(1, max(len(knots) for knots in quantiles.knots) - 1)
    left, width, rise = (np.full((len(quantiles.knots), segments), value, np.float32) for value in (0.0, 1.0, 0.0))
    for row, (knots, scores) in enumerate(zip(quantiles.knots, quantiles.scores, strict=True)):
        count = len(knots) - 1
        left[row, :count] = knots[:-1]
        width[row, :count] = np.diff(np.array(knots, dtype=np.float32))
        rise[row, :count] = np.diff(scores)
    wide = graph.add("Unsqueeze", matrix, graph.constant([2], np.int64))
    into = graph.add("Max", graph.add("Sub", wide, graph.constant(left)), graph.constant(0.0))
    part = graph.add("Div", graph.add("Min", into, graph.constant(width)), graph.constant(width))
    risen = graph.add("Mul", part, graph.constant(rise))
    total = graph.add("ReduceSum", risen, graph.constant([2], np.int64), keepdims=0)
    start = np.array([[scores[0] for scores in quantiles.scores]], dtype=np.float32)
    return graph.add("Add", total, graph.constant(start))
