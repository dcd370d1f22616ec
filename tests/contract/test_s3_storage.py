"""What the storage that speaks S3 does beyond the contract: says what is set wrongly, waits, and gives links."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from rowcast.errors import NotFound, RowcastError, Unavailable
from rowcast.wiring import open_storage

MOST_BYTES = 120 * 2**20
"""What a process may take that stores and reads a file of 160 MB: the library alone takes 40."""

PASSING_THROUGH = """
import hashlib, json, sys
from pathlib import Path
from rowcast.wiring import open_storage
url, options, path = sys.argv[1], json.loads(sys.stdin.read()), Path(sys.argv[2])
storage = open_storage(url, options)
storage.put_file("large", path)
storage.copy("large", "copied")
with storage.local("copied") as local, storage.open("copied") as file:
    found = [hashlib.file_digest(opened, "sha256").hexdigest() for opened in (local.open("rb"), file)]
most = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(*found, int(most.split()[1]) * 1024)
"""


@pytest.fixture
def s3(s3_server):
    return open_storage(s3_server.new_url(), s3_server.options())


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"access_key": "SOMEBODY"}, "ROWCAST_STORAGE_ACCESS_KEY"),
        ({"secret_key": "not-the-secret"}, "ROWCAST_STORAGE_SECRET_KEY"),
        ({"endpoint": "http://127.0.0.1:9"}, "ROWCAST_STORAGE_ENDPOINT"),
        ({"endpoint": "http://no-such-host.invalid"}, "ROWCAST_STORAGE_ENDPOINT"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_is(s3_server, changed, says):
    storage = open_storage(s3_server.new_url(), s3_server.options(**changed))

    with pytest.raises(Unavailable) as caught:
        storage.ping()

    assert caught.value.code == "storage_unavailable"
    assert says in caught.value.message
    assert "not-the-secret" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__


def test_https_where_there_is_none_is_named(s3_server):
    endpoint = s3_server.endpoint.replace("http:", "https:")
    with pytest.raises(Unavailable, match="ROWCAST_STORAGE_ENDPOINT"):
        open_storage(s3_server.new_url(), s3_server.options(endpoint=endpoint)).ping()


def test_a_bucket_that_is_not_there_is_no_missing_object(s3_server):
    storage = open_storage("s3://no-such-bucket/prefix", s3_server.options())

    for call in (storage.ping, lambda: list(storage.list("")), lambda: storage.read("some/object")):
        with pytest.raises(Unavailable, match="ROWCAST_STORAGE_URL"):
            call()


def test_an_address_without_a_bucket_is_refused():
    with pytest.raises(RowcastError) as caught:
        open_storage("s3:///prefix")
    assert caught.value.code == "storage_url_invalid"


def test_no_keys_at_all_are_told(monkeypatch, s3_server):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9/169.254.169.254")
    with pytest.raises(Unavailable, match="ROWCAST_STORAGE_ACCESS_KEY"):
        open_storage(s3_server.new_url(), {"endpoint": s3_server.endpoint}).ping()


def test_a_large_file_passes_in_bounded_memory(s3_server, tmp_path):
    digest = hashlib.sha256()
    with (tmp_path / "large").open("wb") as file:
        for number in range(160):
            block = number.to_bytes(4, "big") * 2**18
            digest.update(block)
            file.write(block)

    command = [sys.executable, "-c", PASSING_THROUGH, s3_server.new_url(), str(tmp_path / "large")]
    done = subprocess.run(command, input=json.dumps(s3_server.options()), capture_output=True, text=True, check=True)

    *found, most = done.stdout.split()
    assert found == [digest.hexdigest()] * 2
    assert int(most) < MOST_BYTES


def test_what_the_service_does_not_copy_passes_through(s3, monkeypatch):
    content = os.urandom(17 * 2**20 + 1)
    s3.put("from", content)
    monkeypatch.setattr("rowcast.adapters.storage.s3.LARGEST_COPY", 0)

    s3.move("from", "to")

    assert s3.read("to") == content
    assert list(s3.list("")) == ["to"]


def test_a_link_is_good_for_one_object_without_any_key(s3_server):
    storage = open_storage(s3_server.new_url(), s3_server.options(public_endpoint=s3_server.endpoint))
    storage.put("folder/an object", b"content")
    storage.put("folder/another", b"not this one")

    link = storage.link("folder/an object", "loans.csv")

    answer = urllib.request.urlopen(link)
    assert (answer.read(), answer.headers["content-disposition"]) == (b"content", 'attachment; filename="loans.csv"')
    assert s3_server.options()["secret_key"] not in link
    for changed in (link.replace("an%20object", "another"), link.replace("loans", "x"), link.partition("?")[0]):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(changed)


def test_no_link_leads_where_callers_cannot_go(s3):
    s3.put("object", b"content")

    assert s3.link("object", "object.csv") is None


def test_it_goes_on_when_the_service_is_back(private_s3, tmp_path):
    """Killed while a file is being read and another stored: both are whole in the end."""
    storage = open_storage(private_s3.new_url(), private_s3.options())
    content = bytes(range(256)) * 4096 * 48
    (tmp_path / "large").write_bytes(content)
    storage.put_file("large", tmp_path / "large")

    with storage.open("large") as file:
        first = file.read(1000)
        private_s3.kill()
        restarting = threading.Thread(target=private_s3.start)
        restarting.start()
        storage.put("meanwhile", b"stored")
        rest = file.read()
    restarting.join()

    assert first + rest == content
    assert storage.read("meanwhile") == b"stored"


def test_a_service_that_is_gone_is_told_soon(private_s3):
    storage = open_storage(private_s3.new_url(), private_s3.options())
    storage.ping()
    private_s3.kill()

    with pytest.raises(Unavailable, match="ROWCAST_STORAGE_ENDPOINT"):
        storage.ping()


def test_a_move_that_cannot_be_made_loses_nothing(s3):
    s3.put("there", b"old")

    with pytest.raises(NotFound):
        s3.move("nothing", "there")

    assert s3.read("there") == b"old"
