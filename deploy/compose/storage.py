"""The storage that the settings name as a tar archive: ``storage.py save >FILE``, ``storage.py load <FILE``."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory

from rowcast.datasets.ports import Storage
from rowcast.errors import NotFound
from rowcast.settings import Settings
from rowcast.wiring import open_storage


def save(storage: Storage) -> int:
    """Write every object to standard output; what is deleted meanwhile is left out."""
    count = 0
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
        for key in storage.list(""):
            entry = tarfile.TarInfo(key)
            try:
                entry.size = storage.size(key)
                content = storage.open(key)
            except NotFound:
                continue
            with content:
                archive.addfile(entry, content)
            count += 1
    return count


def load(storage: Storage, folder: Path) -> int:
    """Store every object of standard input, each by a file in the folder."""
    count, draft = 0, folder / "object"
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        for entry in archive:
            content = archive.extractfile(entry)
            if content is None:
                continue
            with draft.open("wb") as file:
                copyfileobj(content, file)
            storage.put_file(entry.name, draft)
            count += 1
    return count


def main() -> None:
    settings = Settings()
    with TemporaryDirectory() as folder:
        storage = open_storage(settings.resolved_storage_url, settings.storage_options, scratch=Path(folder))
        done = save(storage) if sys.argv[1:] == ["save"] else load(storage, Path(folder))
    sys.stderr.write(f"{done} objects\n")


if __name__ == "__main__":
    main()
