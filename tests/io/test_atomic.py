import os
import signal
import subprocess
import sys

import pytest

from hooknet.io.atomic import atomic, write_text


def test_a_file_takes_its_place_when_the_block_ends_well(tmp_path):
    place = tmp_path / "new folder" / "a.tar.tif"
    with atomic(place) as partial:
        assert partial.parent == place.parent
        assert partial.suffix == ".tif"
        partial.write_text("whole")
        assert not place.exists()
    assert place.read_text() == "whole"
    assert os.listdir(place.parent) == ["a.tar.tif"]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path):
    place = tmp_path / "a.txt"
    place.write_text("before")

    def fail():
        with atomic(place) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert place.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_block_that_wrote_nothing_is_an_error(tmp_path):
    place = tmp_path / "a.txt"
    place.write_text("before")
    with pytest.raises(FileNotFoundError), atomic(place):
        pass
    assert place.read_text() == "before"


def test_a_kill_leaves_what_was_there(tmp_path):
    place = tmp_path / "a.txt"
    place.write_text("before")
    program = (
        "import os, signal, sys\nfrom hooknet.io.atomic import atomic\n"
        "with atomic(sys.argv[1]) as partial:\n"
        "    partial.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(place)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert place.read_text() == "before"


def test_text_is_utf_8(tmp_path):
    write_text(tmp_path / "a.txt", "0.5 µm\n")
    assert (tmp_path / "a.txt").read_bytes() == "0.5 µm\n".encode()


def test_what_a_killed_process_left_is_removed_even_while_the_process_is_a_zombie(tmp_path):
    place = tmp_path / "a.txt"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # ended, not yet taken note of
    left = tmp_path / f".a.{dead.pid}.partial.txt"
    left.touch()
    write_text(place, "after")
    assert os.listdir(tmp_path) == ["a.txt"]
    dead.wait()


def test_what_a_process_at_work_is_writing_is_left_alone(tmp_path):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs = tmp_path / f".a.{other.pid}.partial.txt"
        theirs.touch()
        write_text(tmp_path / "a.txt", "mine")
        assert theirs.exists()
        other.kill()


def test_a_full_disk_says_whose_file_it_had_no_place_for(tmp_path):
    """The system names a file that cannot be opened, but not one that cannot be written to."""

    def write():
        with atomic(tmp_path / "a.txt"), open("/dev/full", "w", buffering=1) as full:
            full.write("x\n")

    with pytest.raises(OSError, match="No space left") as found:
        write()
    assert found.value.filename == str(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []
