"""Rows of a call that came by the column: as long as nobody looks at one of them, none is made."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple, overload

import msgspec
import numpy as np
import numpy.typing as npt

MARK = b"\x01"
"""How columns begin that are written down; JSON never does."""

_LENGTH_BYTES = 4
_FEW = 100
"""So many numbers are looked at faster one by one."""

Cells = npt.NDArray[Any] | list[Any]


class Block(NamedTuple):
    """Columns side by side: ``cells`` are flat and row-major, numbers as an array with NaN for missing, or plain values
    with None for it."""

    names: tuple[str, ...]
    cells: Cells

    @property
    def values(self) -> list[Any]:
        """The cells as JSON has them."""
        return self.cells if isinstance(self.cells, list) else plain(self.cells)

    def columns(self, count: int) -> Iterator[tuple[str, Any]]:
        """Each column with its name: an array, or a list of plain values."""
        if isinstance(self.cells, list):
            width = len(self.names)
            return zip(self.names, (self.cells[start::width] for start in range(width)), strict=True)
        return zip(self.names, self.cells.reshape(count, -1).T, strict=True)


class Columns(Sequence[dict[str, Any]]):
    """Rows by feature name, kept by the column; a feature without a column is missing in all of them."""

    def __init__(self, blocks: Sequence[Block], count: int) -> None:
        self.blocks = blocks
        self._count = count

    @staticmethod
    def joined(several: Sequence[Sequence[dict[str, Any]]]) -> Sequence[dict[str, Any]]:
        """All rows of several calls, by the column where all have the same ones in one block of plain values."""
        first = several[0]
        if type(first) is not Columns or len(first.blocks) > 1:
            return list(chain.from_iterable(several))
        cells: list[Any] = []
        names = first.blocks[0].names
        for rows in several:
            if type(rows) is not Columns or len(rows.blocks) > 1:
                return list(chain.from_iterable(several))
            block = rows.blocks[0]
            if type(block.cells) is not list or block.names != names:
                return list(chain.from_iterable(several))
            cells += block.cells
        return Columns([Block(names, cells)], sum(map(len, several)))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = list(chain.from_iterable(block.names for block in self.blocks))
        each = [_rows(block) for block in self.blocks]
        return (dict(zip(names, chain.from_iterable(parts), strict=True)) for parts in zip(*each, strict=True))

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, place: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return list(self)[place]

    def to_bytes(self) -> bytes:
        """To be kept: arrays as they are, the rest as JSON."""
        arrays = [block.cells for block in self.blocks if isinstance(block.cells, np.ndarray)]
        head = msgspec.json.encode([self._count, [_described(block) for block in self.blocks]])
        parts = [MARK, len(head).to_bytes(_LENGTH_BYTES, "little"), head, *(one.tobytes() for one in arrays)]
        return b"".join(parts)

    @staticmethod
    def from_bytes(written: bytes) -> Columns:
        """What ``to_bytes`` wrote."""
        start = len(MARK) + _LENGTH_BYTES
        end = start + int.from_bytes(written[len(MARK) : start], "little")
        count, described = msgspec.json.decode(written[start:end])
        blocks = []
        for names, cells, dtype in described:
            if dtype is not None:
                cells = np.frombuffer(written, dtype, count * len(names), end)
                end += cells.nbytes
            blocks.append(Block(tuple(names), cells))
        return Columns(blocks, count)


class Stacked(MutableMapping[str, npt.NDArray[Any]]):
    """Columns [N,1] of float32 by name that are those of one matrix [N,F]."""

    def __init__(self, matrix: npt.NDArray[np.float32], places: dict[str, int]) -> None:
        self._matrix = matrix
        self._places = places

    def in_order(self, names: list[str]) -> npt.NDArray[np.float32]:
        """The matrix with these columns in this order."""
        if self._matrix.shape[1] == len(names) and list(self._places) == names:
            return np.ascontiguousarray(self._matrix)
        places = [self._places[name] for name in names]
        return self._matrix.take(places, axis=1)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        place = self._places[name]
        return self._matrix[:, place : place + 1]

    def __setitem__(self, name: str, column: npt.NDArray[Any]) -> None:
        self._places = {**self._places, name: self._matrix.shape[1]}
        self._matrix = np.concatenate([self._matrix, column], axis=1)

    def __delitem__(self, name: str) -> None:
        self._places = {other: place for other, place in self._places.items() if other != name}

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def plain(cells: npt.NDArray[Any]) -> list[Any]:
    """Plain values, None for NaN."""
    values: list[Any] = cells.tolist()
    if cells.dtype.kind == "f" and (len(values) <= _FEW or np.isnan(cells).any()):
        return [None if value != value else value for value in values]
    return values


def _rows(block: Block) -> Iterator[tuple[Any, ...]]:
    """The cells of each row."""
    return zip(*[iter(block.values)] * len(block.names), strict=True)


def _described(block: Block) -> tuple[msgspec.Raw, list[Any] | None, str | None]:
    if isinstance(block.cells, list):
        return _written(block.names), block.cells, None
    return _written(block.names), None, block.cells.dtype.str


@lru_cache
def _written(names: tuple[str, ...]) -> msgspec.Raw:
    """Names as JSON: those of a model's matrix are the same in every call."""
    return msgspec.Raw(msgspec.json.encode(names))
