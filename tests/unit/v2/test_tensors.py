"""Tensors on the wire: JSON, binary sections, texts; and what is wrong with those that are not right."""

import json
import struct

import numpy as np
import pytest

from rowcast.entrypoints.v2.tensors import Wanted, of_raw, raw_of, read
from rowcast.errors import InvalidInput


def body(*inputs, **more):
    return json.dumps({"inputs": list(inputs), **more}).encode()


def tensor(data, datatype="FP32", shape=None, name="x", **more):
    return {"name": name, "shape": shape or [len(data)], "datatype": datatype, "data": data, **more}


def test_numbers_are_flat_whatever_their_nesting():
    for data in ([1.5, 2, None, 4], [[1.5, 2], [None, 4]], [[[1.5], [2]], [[None], [4]]]):
        found = read(body(tensor(data, shape=[2, 2]))).inputs[0]
        assert found.shape == (2, 2)
        assert found.cells == [1.5, 2, None, 4]


@pytest.mark.parametrize(
    ("data", "datatype"),
    [
        ([True], "FP32"),
        (["1"], "FP32"),
        ([1.5], "INT64"),
        ([None], "INT64"),
        ([300], "UINT8"),
        ([-1], "UINT64"),
        ([1], "BOOL"),
        ([1], "BYTES"),
        ([1.0], "FP128"),
        ([[1.0], 2.0], "FP32"),
        ([{}], "FP32"),
    ],
)
def test_values_are_of_their_datatype(data, datatype):
    with pytest.raises(InvalidInput) as refused:
        read(body(tensor(data, datatype)))
    assert refused.value.code == "tensors_invalid"
    assert "'x'" in refused.value.message


@pytest.mark.parametrize("shape", [[3], [2, 2], [-1, -2], [0], [], [2] * 9, [10**12, 10**12]])
def test_shapes_are_those_of_the_data(shape):
    with pytest.raises(InvalidInput):
        read(body({"name": "x", "shape": shape, "datatype": "FP32", "data": [1.0, 2.0]}))


def test_nan_is_no_json():
    with pytest.raises(InvalidInput, match="null"):
        read(b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [NaN]}]}')


def binary(*sections, header=None):
    inputs = [
        {"name": f"x{place}", "shape": shape, "datatype": datatype, "parameters": {"binary_data_size": len(raw)}}
        for place, (datatype, shape, raw) in enumerate(sections)
    ]
    head = header or body(*inputs)
    return head + b"".join(raw for _, _, raw in sections), len(head)


def texts(*values):
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def test_binary_sections_follow_the_json():
    sent, length = binary(
        ("FP32", [2, 1], struct.pack("<2f", 1.5, float("nan"))),
        ("BYTES", [2], texts("Ünknown".encode(), b"")),
        ("INT64", [2], struct.pack("<2q", -1, 2**60)),
        ("BOOL", [2], b"\x01\x00"),
    )
    numbers, words, large, flags = read(sent, length).inputs
    np.testing.assert_array_equal(numbers.cells, np.array([1.5, np.nan], np.float32))
    assert words.cells == ["Ünknown", ""]
    assert large.cells.tolist() == [-1, 2**60]
    assert flags.cells.tolist() == [True, False]


def test_binary_and_json_may_be_mixed():
    head = body(
        tensor([1.0], name="a"),
        {"name": "b", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}},
    )
    first, second = read(head + struct.pack("<f", 2.0), len(head)).inputs
    assert (first.cells, second.cells.tolist()) == ([1.0], [2.0])


@pytest.mark.parametrize(
    ("datatype", "shape", "raw"),
    [
        ("FP32", [2], b"\x00" * 4),
        ("FP32", [1], b"\x00" * 8),
        ("BYTES", [1], b"\x05\x00\x00\x00abc"),
        ("BYTES", [1], b"\xff\xff\xff\xffabc"),
        ("BYTES", [1], b"\x01"),
        ("BYTES", [1], texts(b"a", b"b")),
        ("BYTES", [1], texts(b"\xff\xfe")),
        ("FP32", [2**62, 4], b""),
    ],
)
def test_truncated_and_lying_sections_are_refused(datatype, shape, raw):
    sent, length = binary((datatype, shape, raw))
    with pytest.raises(InvalidInput):
        read(sent, length)


@pytest.mark.parametrize("length", [0, 5, 10**6])
def test_a_lying_header_length_is_refused(length):
    sent, _ = binary(("FP32", [1], struct.pack("<f", 1.0)))
    with pytest.raises(InvalidInput):
        read(sent, length)


def test_sizes_add_up_to_the_body():
    sent, length = binary(("FP32", [1], struct.pack("<f", 1.0)))
    for changed in (sent + b"x", sent[:-1]):
        with pytest.raises(InvalidInput):
            read(changed, length)


def test_outputs_are_asked_for_by_name_and_form():
    asked = read(
        body(
            tensor([1.0]),
            id="42",
            parameters={"binary_data_output": True},
            outputs=[
                {"name": "a"},
                {"name": "b", "parameters": {"binary_data": False, "classification": 3}},
            ],
        )
    )
    assert asked.id == "42"
    assert asked.wanted == [Wanted("a", True), Wanted("b", False, 3)]
    assert read(body(tensor([1.0]))).wanted is None


def test_what_is_written_reads_back():
    numbers = np.array([1.5, -2.0], np.float32)
    assert of_raw("x", "FP32", [2], raw_of(numbers)).cells.tolist() == [1.5, -2.0]
    assert of_raw("x", "BYTES", [2], raw_of(["é", ""])).cells == ["é", ""]
