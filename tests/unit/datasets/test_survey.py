"""What the bytes of a text show, however they fall into blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowcast.datasets.reading import survey as module
from rowcast.datasets.reading.survey import Survey, survey

BOM = "\ufeff".encode()


def looked_at(text: bytes) -> tuple[Survey, list[tuple[int, bool]]]:
    """The same by the byte: a survey, and the records with whether they are blank."""
    found, ends, inside, start, before = Survey(size=len(text)), [], False, 0, 10
    for place, byte in enumerate(text):
        if byte == 34:
            found.stray_quotes += not inside and before not in (34, 44, 10) and place > 3
            inside = not inside
        elif not inside and byte == 44:
            found.delimiters += 1
        elif not inside and byte == 10:
            ends.append((place + 1, text[start:place] in (b"", b"\r")))
            start = place + 1
        before = byte
    if start < len(text):
        ends.append((len(text), False))
    found.open_quote, found.records = inside, len(ends)
    found.blank_records = sum(blank for _, blank in ends)
    found.longest_record = max((end - first for (first, _), (end, _) in zip([(0, False), *ends], ends, strict=False)))
    return found, ends


@given(st.text('a,\n"\r', min_size=1, max_size=300), st.booleans(), st.sampled_from([1, 7, 63, 64, 65, 128, 4096]))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_blocks_of_any_size_show_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, has_bom: bool, size: int
) -> None:
    monkeypatch.setattr(module, "_BLOCK_BYTES", size)
    path = tmp_path / "text.csv"
    content = BOM * has_bom + text.encode()
    path.write_bytes(content)
    records: list[tuple[int, bool]] = []
    found = survey(
        path, ",", 10**6, lambda ends, blank: records.extend(zip(ends.tolist(), blank.tolist(), strict=True))
    )
    assert (found, records) == looked_at(content)
