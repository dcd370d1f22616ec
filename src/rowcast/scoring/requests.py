"""The body of a prediction call, read at speed: the JSON of ``views.PredictRequest``."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from rowcast.errors import InvalidInput, TooLarge

OnError = Literal["fail", "skip"]


class RowsToScore(msgspec.Struct, forbid_unknown_fields=True):
    """Rows by feature name, not looked into yet; ``on_error`` says what a bad one does.

    ``explain`` is how many reasons go with every answer, True for all.
    """

    rows: list[Any]
    on_error: str = "fail"
    explain: bool | int = False

    @property
    def skip_bad(self) -> bool:
        return self.on_error == "skip"


def decode(body: bytes, *, max_rows: int) -> RowsToScore:
    """The rows that a JSON body holds.

    Raises:
        InvalidInput: it is no JSON, which NaN and Infinity are not either, or not of that shape.
        TooLarge: it has more than ``max_rows`` rows.
    """
    try:
        request = msgspec.json.decode(body, type=RowsToScore)
    except msgspec.ValidationError as error:
        raise InvalidInput("request_invalid", _shape_message(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("json_invalid", _json_message(error, body)) from None
    if request.on_error not in ("fail", "skip"):
        raise InvalidInput("request_invalid", '\'on_error\' is "fail" or "skip".')
    if request.explain < 0:
        raise InvalidInput("request_invalid", "'explain' is true, false or a number of reasons.")
    if len(request.rows) > max_rows:
        raise TooLarge("too_many_rows", f"One call takes at most {max_rows:,} rows: send the others in further calls.")
    return request


def _shape_message(error: msgspec.ValidationError) -> str:
    """What msgspec says, which is types and places; it never repeats a value of these types."""
    return f'The body is {{"rows": [{{field: value, ...}}, ...]}}. {str(error)[:200]}.'


def _json_message(error: Exception, body: bytes) -> str:
    if b"NaN" in body or b"Infinity" in body:
        return "This is no JSON: NaN and Infinity are not part of it. Send null for a value that is not known."
    if isinstance(error, RecursionError):
        return "This JSON is nested too deeply: a row is an object of plain values."
    if isinstance(error, UnicodeDecodeError):
        return "This is no JSON: its text is not UTF-8."
    return f"This is no JSON: {error}."
