"""The body of a prediction call, read at speed: the JSON of ``views.PredictRequest``."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import msgspec

from rowcast.datasets.rows import RowReader
from rowcast.errors import InvalidInput, TooLarge

OnError = Literal["fail", "skip"]
Row = TypeVar("Row")
Message = TypeVar("Message")
NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class RowsToScore(msgspec.Struct, Generic[Row], forbid_unknown_fields=True):
    """Rows by feature name, not looked into yet; ``on_error`` says what a bad one does.

    ``explain`` is how many reasons go with every answer, True for all.
    """

    rows: list[Row]
    on_error: str = "fail"
    explain: bool | int = False

    @property
    def skip_bad(self) -> bool:
        return self.on_error == "skip"


def decode(body: bytes, *, max_rows: int, reader: RowReader | None = None) -> RowsToScore[Any]:
    """The rows that a JSON body holds: as dictionaries, or for a ``reader`` as objects of its own, which take half the
    time, where no field is unknown and nobody will ask for reasons.

    Raises:
        InvalidInput: it is no JSON, which NaN and Infinity are not either, or not of that shape.
        TooLarge: it has more than ``max_rows`` rows.
    """
    request = _quickly(body, reader) if reader is not None else None
    request = request or strictly(body, RowsToScore[Any], '{"rows": [{field: value, ...}, ...]}')
    check(request, max_rows=max_rows)
    return request


def check(request: RowsToScore[Any], *, max_rows: int) -> None:
    """Pass when the options are some that there are, and the rows not too many.

    Raises:
        InvalidInput, TooLarge: as ``decode``.
    """
    if request.on_error not in ("fail", "skip"):
        raise InvalidInput("request_invalid", '\'on_error\' is "fail" or "skip".')
    if request.explain < 0:
        raise InvalidInput("request_invalid", "'explain' is true, false or a number of reasons.")
    check_count(len(request.rows), max_rows)


def check_count(count: int, max_rows: int) -> None:
    """Pass when a call has no more rows than it may.

    Raises:
        TooLarge: it has.
    """
    if count > max_rows:
        raise TooLarge("too_many_rows", f"One call takes at most {max_rows:,} rows: send the others in further calls.")


def _quickly(body: bytes, reader: RowReader) -> RowsToScore[Any] | None:
    """The rows as the reader's own objects; None where that does not do."""
    decoder = reader.decoder_of(RowsToScore)
    if decoder is None:
        return None
    try:
        request: RowsToScore[Any] = decoder.decode(body)
    except NO_JSON:
        return None
    return None if request.explain else request


def strictly(body: bytes, message: type[Message], shape: str) -> Message:
    """The message that a JSON body holds; ``shape`` is what to say that it should have been.

    Raises:
        InvalidInput: it is no JSON, or not of that shape.
    """
    try:
        return msgspec.json.decode(body, type=message)
    except msgspec.ValidationError as error:
        # What msgspec says is types and places; it never repeats a value of these types.
        raise InvalidInput("request_invalid", f"The body is {shape}. {str(error)[:200]}.") from None
    except NO_JSON as error:
        raise InvalidInput("json_invalid", _json_message(error, body)) from None


def _json_message(error: Exception, body: bytes) -> str:
    if b"NaN" in body or b"Infinity" in body:
        return "This is no JSON: NaN and Infinity are not part of it. Send null for a value that is not known."
    if isinstance(error, RecursionError):
        return "This JSON is nested too deeply: a row is an object of plain values."
    if isinstance(error, UnicodeDecodeError):
        return "This is no JSON: its text is not UTF-8."
    return f"This is no JSON: {error}."
