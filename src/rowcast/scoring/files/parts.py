"""The finished parts of a file task in the storage: what another attempt need not do again."""

from __future__ import annotations

from dataclasses import dataclass

from rowcast.datasets.ports import Storage
from rowcast.scoring.files.source import Part


class Finished(Part):
    """A part that is in the storage, with the number of its rows that have no prediction, and the SHA-256 of the upload
    that it is of."""

    skipped: int
    problem_count: int
    content_hash: str = ""

    def is_of(self, part: Part) -> bool:
        """Whether it is this very part: another release may cut otherwise."""
        return all(getattr(self, name) == getattr(part, name) for name in Part.model_fields)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts under a prefix, for one way to read the upload of that SHA-256. A part's own note is written last: with
    it the part is finished."""

    storage: Storage
    prefix: str
    content_hash: str

    def finished(self) -> dict[int, Finished]:
        """Those of this upload, by number."""
        notes = (key for key in self.storage.list(self.prefix) if key.endswith(".json"))
        found = (Finished.model_validate_json(self.storage.read(key)) for key in notes)
        return {part.number: part for part in found if part.content_hash == self.content_hash}

    def put(self, part: Finished, rows: bytes, problems: bytes) -> None:
        """Write a part down; it is finished when this returns."""
        if problems:
            self.storage.put(self.problems_key(part), problems)
        self.storage.put(self.rows_key(part), rows)
        self.storage.put(f"{self._key(part)}.json", part.model_dump_json().encode())

    def clear(self) -> None:
        """Forget all parts."""
        self.storage.delete(self.prefix)

    def rows_key(self, part: Part) -> str:
        return f"{self._key(part)}.rows"

    def problems_key(self, part: Part) -> str:
        return f"{self._key(part)}.problems"

    def _key(self, part: Part) -> str:
        return f"{self.prefix}/part-{part.number:06d}"
