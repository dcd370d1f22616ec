"""``.dvc`` files, and the remote in the storage."""

from __future__ import annotations

import hashlib

import pytest
import yaml

from rowcast.adapters.storage.local import LocalStorage
from rowcast.datasets import dvc
from rowcast.datasets.dvc import DvcFile
from rowcast.datasets.objects import source_key
from rowcast.errors import Conflict, InvalidInput, NotFound

TABLE = b"age,paid\n31,yes\n58,no\n"
MD5 = hashlib.md5(TABLE).hexdigest()
FILE = DvcFile(path="people.csv", md5=MD5, size=len(TABLE))
WRITTEN = f"outs:\n- md5: {MD5}\n  size: {len(TABLE)}\n  hash: md5\n  path: people.csv\n"
"""As DVC 3 writes it."""


@pytest.fixture
def storage(tmp_path):
    return LocalStorage(tmp_path)


def test_a_dvc_file_is_written_as_dvc_writes_it():
    assert dvc.written(FILE) == WRITTEN
    assert dvc.read(WRITTEN) == FILE


@pytest.mark.parametrize("path", ["yes", "1", "людям.csv", "a: b.csv", "- x.csv", "#.csv", "'\"", "a b.csv"])
def test_any_name_comes_back(path):
    file = FILE.model_copy(update={"path": path})

    assert dvc.read(dvc.written(file)) == file
    assert yaml.safe_load(dvc.written(file))["outs"][0]["path"] == path


def test_of_a_path_the_name_counts():
    assert dvc.read(WRITTEN.replace("path: ", "path: ../data/")).path == "people.csv"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        "[]",
        "outs: []",
        "outs: [7]",
        "outs: {}",
        "a: [b",
        "!!python/object/apply:os.system ['true']",
        WRITTEN + WRITTEN.removeprefix("outs:\n"),
        WRITTEN.replace(MD5, "../../../etc/passwd"),
        WRITTEN.replace(MD5, MD5 + ".dir"),
        WRITTEN.replace(MD5, MD5.upper() if MD5.upper() != MD5 else "Z" * 32),
        WRITTEN.replace("  hash: md5\n", ""),
        WRITTEN.replace("hash: md5", "hash: etag"),
        WRITTEN.replace("people.csv", "''"),
        WRITTEN.replace(f"size: {len(TABLE)}", "size: -1"),
    ],
)
def test_what_is_no_dvc_file_of_one_table_is_refused(text):
    with pytest.raises(InvalidInput) as caught:
        dvc.read(text)
    assert caught.value.code == "dvc_file_unreadable"


def test_a_table_lies_on_the_remote_where_dvc_looks_for_it(storage):
    storage.put(source_key("hash"), TABLE)

    assert dvc.push(storage, "hash", "people.csv") == FILE
    assert dvc.push(storage, "hash", "people.csv") == FILE

    assert storage.read(f"dvc/files/md5/{MD5[:2]}/{MD5[2:]}") == TABLE


def test_what_was_cut_off_on_the_remote_is_put_there_again(storage):
    storage.put(source_key("hash"), TABLE)
    storage.put(dvc.object_key(MD5), TABLE[:5])

    dvc.push(storage, "hash", "people.csv")

    assert storage.read(dvc.object_key(MD5)) == TABLE


def test_what_happens_to_the_remote_does_not_touch_the_table(storage):
    storage.put(source_key("hash"), TABLE)
    dvc.push(storage, "hash", "people.csv")

    storage.put(dvc.object_key(MD5), b"changed")
    storage.delete("dvc")

    assert storage.read(source_key("hash")) == TABLE


def test_what_was_pushed_is_copied_and_hashed(storage):
    storage.put(dvc.object_key(MD5), TABLE)

    assert dvc.fetch(storage, FILE, "uploads/one") == hashlib.sha256(TABLE).hexdigest()

    assert storage.read("uploads/one") == TABLE
    assert storage.exists(dvc.object_key(MD5))


def test_what_nobody_pushed_is_told(storage):
    with pytest.raises(NotFound) as caught:
        dvc.fetch(storage, FILE, "uploads/one")
    assert caught.value.code == "dvc_file_not_found"


def test_what_is_damaged_is_not_taken(storage):
    storage.put(dvc.object_key(MD5), b"something else")

    with pytest.raises(Conflict) as caught:
        dvc.fetch(storage, FILE, "uploads/one")

    assert caught.value.code == "dvc_file_damaged"
    assert not storage.exists("uploads/one")


@pytest.mark.parametrize(
    ("storage_url", "options", "remote"),
    [
        ("file:///srv/a%20b/storage", {}, ("/srv/a b/storage/dvc", "", "")),
        ("s3://bucket", {"endpoint": "http://here"}, ("s3://bucket/dvc", "http://here", "")),
        (
            "s3://bucket/prefix/",
            {"endpoint": "http://within", "public_endpoint": "https://outside", "region": "eu-north-1"},
            ("s3://bucket/prefix/dvc", "https://outside", "eu-north-1"),
        ),
    ],
)
def test_the_remote_is_a_folder_of_the_storage(storage_url, options, remote):
    every = {"endpoint": "", "public_endpoint": "", "region": "", "access_key": "", "secret_key": "", **options}

    found = dvc.remote_at(storage_url, every)

    assert (found.url, found.endpoint, found.region) == remote
