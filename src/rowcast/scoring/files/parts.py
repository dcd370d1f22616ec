"""The finished parts of a file task in the storage: what another attempt need not do again."""

from __future__ import annotations

from dataclasses import dataclass

from rowcast.datasets.ports import Storage
from rowcast.errors import NotFound
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

    def of(self, part: Part) -> Finished | None:
        """The part if it is finished, of this upload and cut as it is now."""
        try:
            found = Finished.model_validate_json(self.storage.read(self._note_key(part)))
        except NotFound:
            return None
        return found if found.content_hash == self.content_hash and found.is_of(part) else None

    def put(self, part: Finished, rows: bytes, problems: bytes) -> None:
        """Write a part down; it is finished when this returns."""
        if problems:
            self.storage.put(self.problems_key(part), problems)
        self.storage.put(self.rows_key(part), rows)
        self.storage.put(self._note_key(part), part.model_dump_json().encode())

    def clear(self) -> None:
        """Forget all parts."""
        self.storage.delete(self.prefix)

    def rows_key(self, part: Part) -> str:
        return f"{self._key(part)}.rows"

    def problems_key(self, part: Part) -> str:
        return f"{self._key(part)}.problems"

    def _note_key(self, part: Part) -> str:
        return f"{self._key(part)}.json"

    def _key(self, part: Part) -> str:
        return f"{self.prefix}/part-{part.number:06d}"
