import fcntl
import signal
import subprocess
import sys
import time

import pytest

from hooknet.errors import HookNetError
from hooknet.io import locks

HOLDER = """
import sys, time
from hooknet.io.locks import exclusive
with exclusive(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_holder_is_refused_in_one_line(tmp_path):
    path = tmp_path / "run" / ".lock"
    with locks.exclusive(path), pytest.raises(HookNetError) as caught, locks.exclusive(path):
        pass
    assert str(caught.value) == (
        f"{path}: another process is at work in this folder; wait until it is done, or end it"
    )


def test_lock_can_be_taken_again_after_the_block(tmp_path):
    for _ in range(2):
        with locks.exclusive(tmp_path / ".lock"):
            pass


def test_killed_holder_leaves_no_lock(tmp_path):
    path = tmp_path / ".lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HookNetError), locks.exclusive(path):
            pass
        holder.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while True:
        try:
            with locks.exclusive(path):
                break
        except HookNetError:
            assert time.monotonic() < deadline


def test_disk_without_locks_is_told_and_used(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locks.exclusive(tmp_path / ".lock"):
        pass
    assert "knows no locks (Operation not supported)" in caplog.text
