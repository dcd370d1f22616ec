"""One number in memory that several processes share: reading it costs as much as reading a list."""

from __future__ import annotations

import mmap
import os

_SIZE = 8


class Turn:
    """The number behind a file descriptor. One process sets it, and all others see it at once."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._cell = memoryview(mmap.mmap(descriptor, _SIZE)).cast("Q")

    @classmethod
    def new(cls) -> Turn:
        """Zero, in memory that goes when the last process that has the descriptor ends."""
        descriptor = os.memfd_create("rowcast-turn")
        os.ftruncate(descriptor, _SIZE)
        return cls(descriptor)

    @property
    def value(self) -> int:
        return self._cell[0]

    @value.setter
    def value(self, number: int) -> None:
        self._cell[0] = number
