"""What is read of messages is the same in every process, whatever order the maps of protobuf have there."""

from __future__ import annotations

from string import ascii_lowercase

from rowcast.entrypoints.grpc.predicting import body_of, to_score
from rowcast.v1 import rowcast_pb2 as v1
from rowcast.v1.data import data_of, put_row

NAMES = list(ascii_lowercase)
"""So many that they come by their names from a map only if somebody sees to it."""


def test_rows_and_columns_go_by_name():
    by_row = v1.PredictRequest()
    put_row(by_row.rows.add(), dict.fromkeys(reversed(NAMES), 1))
    by_column = v1.PredictRequest()
    for name in reversed(NAMES):
        by_column.columns[name].numbers.values.append(1)
    wanted = ('{"rows":[{' + ",".join(f'"{name}":1' for name in NAMES) + "}]}").encode()
    assert body_of(to_score(by_row, max_rows=1)) == body_of(to_score(by_column, max_rows=1)) == wanted


def test_maps_and_open_values_go_by_name():
    asked = v1.TrainModelRequest(kinds=dict.fromkeys(reversed(NAMES), "number"))
    asked.hyperparameters["lightgbm"].update(dict.fromkeys(reversed(NAMES), 1))
    data = data_of(asked)
    assert [*data["kinds"]] == [*data["hyperparameters"]["lightgbm"]] == NAMES
