"""Text of any encoding to UTF-8 with LF line ends, as a stream."""

from __future__ import annotations

import codecs
from pathlib import Path

from rowcast.errors import InvalidInput

_BLOCK_BYTES = 4 * 2**20


def transcode(source: Path, target: Path, encoding: str, *, cr_ends_lines: bool = False) -> None:
    """Write ``source`` to ``target`` as UTF-8, in bounded memory.

    ``cr_ends_lines`` is for files of old Macs, where a lone carriage return ends each line. Raises InvalidInput
    ``dataset_encoding`` when the bytes are not of that encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    with source.open("rb") as read, target.open("wb") as write:
        try:
            while block := read.read(_BLOCK_BYTES):
                write.write(_lines(decoder.decode(block), cr_ends_lines).encode())
            write.write(_lines(decoder.decode(b"", final=True), cr_ends_lines).encode())
        except UnicodeError as error:
            raise InvalidInput(
                "dataset_encoding",
                f"The text is not readable as {encoding.upper()}. Save the file as UTF-8 and upload it again.",
            ) from error


def _lines(text: str, cr_ends_lines: bool) -> str:
    return text.replace("\r", "\n") if cr_ends_lines else text
