"""A process on call: nobody pays for it before the first call, and it is there again after it ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from services.processes import alive

from rowcast.adapters.processes.on_call import OnCall

ANSWERING = """
import json, os, socket, sys, threading
given = json.loads(sys.stdin.readline())
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(1)), daemon=True).start()
listener = socket.socket(fileno=given["listener"])
while True:
    call, _ = listener.accept()
    call.sendall(f"{os.getpid()} {given['word']}".encode())
    call.close()
"""
SECONDS = 60


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def call(listener):
    """The pid of who answers, and the word it was given."""
    with socket.create_connection(listener.getsockname(), SECONDS) as calling:
        pid, word = calling.recv(100).decode().split()
        return int(pid), word


def children():
    """The pids of what this process has started and not waited for."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_it_is_started_by_the_first_call_and_again_after_it_ended(listener):
    before = children()
    pages = OnCall(listener, (sys.executable, "-c", ANSWERING), {"word": "hello"})
    pages.start()
    assert children() == before
    first, word = call(listener)
    assert word == "hello"
    assert call(listener)[0] == first
    os.kill(first, signal.SIGKILL)
    while alive(first):  # until then it may take a call that it does not live to answer
        time.sleep(0.01)
    assert call(listener)[0] != first
    pages.stop()
    assert children() == before


def test_it_stops_before_anybody_called(listener):
    pages = OnCall(listener, (sys.executable, "-c", ANSWERING), {})
    pages.start()
    pages.stop()


def test_it_ends_with_a_server_that_is_killed(listener):
    server = f"""
import socket, sys
from rowcast.adapters.processes.on_call import OnCall
OnCall(socket.socket(fileno={listener.fileno()}), (sys.executable, "-c", {ANSWERING!r}), {{"word": "x"}}).start()
input()
"""
    started = subprocess.Popen(
        [sys.executable, "-c", server], stdin=subprocess.PIPE, pass_fds=(listener.fileno(),), start_new_session=True
    )
    with started:
        pid, _ = call(listener)
        started.kill()
    deadline = time.monotonic() + SECONDS
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "it outlives its server"
        time.sleep(0.05)
