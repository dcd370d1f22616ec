"""What every storage promises."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rowcast.errors import InvalidInput, NotFound


def test_what_was_put_is_read(storage):
    storage.put("datasets/abc/table", b"\x00one\n")

    assert storage.read("datasets/abc/table") == b"\x00one\n"
    assert storage.size("datasets/abc/table") == 5
    assert storage.exists("datasets/abc/table")
    with storage.open("datasets/abc/table") as file:
        assert file.read(3) == b"\x00on"
    assert storage.read_range("datasets/abc/table", 1, 4) == b"one"


def test_a_second_put_replaces_the_first(storage):
    storage.put("a", b"first, longer")
    storage.put("a", b"second")

    assert storage.read("a") == b"second"


def test_of_many_who_make_the_same_object_one_does(storage):
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda number: storage.put_new("one/object", f"{number}".encode()), range(16)))

    assert made.count(True) == 1
    assert storage.read("one/object") == f"{made.index(True)}".encode()
    assert not storage.put_new("one/object", b"another")
    assert list(storage.list("")) == ["one/object"]


def test_a_file_is_copied_or_moved(storage, tmp_path):
    source = tmp_path / "upload"
    source.write_bytes(b"table")

    storage.put_file("copied", source)
    assert source.exists()
    storage.put_file("moved/there", source, move=True)

    assert not source.exists()
    assert storage.read("copied") == storage.read("moved/there") == b"table"


@pytest.mark.parametrize("call", ["read", "open", "size"])
@pytest.mark.parametrize("key", ["nothing", "no/such/folder", "folder"])
def test_a_missing_object_is_not_found(storage, call, key):
    storage.put("folder/object", b"")

    with pytest.raises(NotFound) as caught:
        getattr(storage, call)(key)
    assert caught.value.code == "object_not_found"
    with pytest.raises(NotFound):
        storage.read_range(key, 0, 1)
    assert not storage.exists(key)


def test_a_missing_object_can_be_neither_moved_nor_looked_at(storage):
    with pytest.raises(NotFound):
        storage.move("nothing", "somewhere")
    for look in (storage.local, storage.local_folder):
        with pytest.raises(NotFound), look("nothing"):
            pass
    assert list(storage.list("")) == []


def test_a_move_replaces_and_leaves_nothing_behind(storage):
    storage.put("from", b"new")
    storage.put("to/there", b"old")

    storage.move("from", "to/there")

    assert list(storage.list("")) == ["to/there"]
    assert storage.read("to/there") == b"new"


def test_a_copy_is_an_object_of_its_own(storage):
    storage.put("from", b"new")
    storage.put("to/there", b"old")

    storage.copy("from", "to/there")
    storage.put("from", b"changed")

    assert storage.read("to/there") == b"new"
    with pytest.raises(NotFound):
        storage.copy("nothing", "somewhere")


@pytest.mark.parametrize("name", ["a b", "день.csv", "50%", "a%20b", "a+b&c=d", "~#*?!$'()", "x" * 200])
def test_names_are_kept_as_they_are(storage, name):
    storage.put(f"folder/{name}", b"content")

    assert list(storage.list("folder")) == [f"folder/{name}"]
    assert storage.read(f"folder/{name}") == b"content"
    with storage.local(f"folder/{name}") as path, storage.local_folder("folder") as folder:
        assert path.read_bytes() == (folder / name).read_bytes() == b"content"
    storage.delete(f"folder/{name}")
    assert list(storage.list("")) == []


def test_a_file_of_many_parts_comes_back_as_it_was(storage, tmp_path):
    content = os.urandom(21 * 2**20 + 1)
    (tmp_path / "large").write_bytes(content)

    storage.put_file("large", tmp_path / "large")
    storage.move("large", "moved")

    assert storage.size("moved") == len(content)
    assert storage.read("moved") == content
    with storage.open("moved") as file:
        assert file.read(10) + file.read() == content
    with storage.local("moved") as path:
        assert path.read_bytes() == content


def test_more_keys_than_one_page_are_listed_and_deleted(storage):
    keys = [f"many/{number:04d}" for number in range(1100)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda key: storage.put(key, b""), keys))

    assert list(storage.list("many")) == keys
    storage.delete("many")
    assert list(storage.list("")) == []


def test_a_list_is_sorted_and_keeps_to_its_folder(storage):
    for key in ("data/b", "data/a/2", "data/a-1", "database/x", "data.txt"):
        storage.put(key, b"")

    assert list(storage.list("data")) == ["data/a-1", "data/a/2", "data/b"]
    assert list(storage.list("data/")) == ["data/a-1", "data/a/2", "data/b"]
    assert list(storage.list("data/b")) == ["data/b"]
    assert list(storage.list("nothing")) == []
    assert list(storage.list("")) == sorted(["data/b", "data/a/2", "data/a-1", "database/x", "data.txt"])


def test_delete_takes_an_object_or_all_of_a_folder(storage):
    for key in ("a/1", "a/b/2", "ab", "c"):
        storage.put(key, b"")

    storage.delete("a")
    storage.delete("c")
    storage.delete("nothing/at/all")
    storage.delete("ab/below an object")

    assert list(storage.list("")) == ["ab"]


def test_objects_and_folders_are_there_as_local_files(storage):
    storage.put("bundle/model", b"model")
    storage.put("bundle/native/encoder", b"encoder")

    with storage.local("bundle/model") as path:
        assert path.read_bytes() == b"model"
    with storage.local_folder("bundle") as folder:
        assert (folder / "native" / "encoder").read_bytes() == b"encoder"
    assert storage.exists("bundle/model")


@pytest.mark.parametrize(
    "key", ["", "/", "/etc/passwd", "../up", "a/../../up", "a//b", "a/./b", "nul\0", "a\nb", "a\\b", ".tmp/x"]
)
def test_a_key_cannot_lead_out_of_the_storage(storage, key):
    for call in (lambda: storage.put(key, b""), lambda: storage.read(key), lambda: storage.delete(key)):
        with pytest.raises(InvalidInput) as caught:
            call()
        assert caught.value.code == "storage_key_invalid"


def test_a_reader_sees_whole_objects_while_others_write(storage):
    storage.put("shared", b"0" * 100_000)
    seen, done = set(), threading.Event()

    def read():
        while not done.is_set():
            data = storage.read("shared")
            seen.add((len(data), len(set(data))))

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=storage.put, args=("shared", bytes([n]) * 100_000)) for n in range(48, 58)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    reader.join()

    assert seen == {(100_000, 1)}
    assert list(storage.list("")) == ["shared"]


def test_it_answers(storage):
    storage.ping()
