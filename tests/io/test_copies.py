import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple

import pytest

from hooknet.io import copies
from hooknet.io.copies import COPYING, RECORD, NoCopy, Store

SIZE = 100_000
Usage = namedtuple("Usage", "total used free")
BORROWER = """
import sys, time
from pathlib import Path
from hooknet.io import copies
slow = float(sys.argv[3])
copied = copies._copy
def slowly(source, path):
    digest = copied(source, path)
    print("copied", flush=True)
    time.sleep(slow)
    return digest
copies._copy = slowly
with copies.Store(Path(sys.argv[1]), 10**9).borrowing() as borrow:
    copy = borrow(Path(sys.argv[2]))
    print("took" if copy.seconds else "found", copy.path, flush=True)
    if sys.argv[4:]:
        input()
"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "scratch", 10**9)


@pytest.fixture
def source(tmp_path):
    return written(tmp_path / "share" / "a.svs")


def written(path, size=SIZE):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def borrowed(store, *sources):
    with store.borrowing() as borrow:
        return [borrow(one) for one in sources]


def held(store):
    """Names of the copies that a store has."""
    return sorted(
        path.name for folder in store.folder.iterdir() if folder.is_dir() for path in folder.glob("*.svs")
    )


def start(store, source, slow=0.0, *more):
    return subprocess.Popen(
        [sys.executable, "-c", BORROWER, str(store.folder), str(source), str(slow), *more],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def killed(process):
    with process:
        process.send_signal(signal.SIGKILL)


def test_a_copy_is_the_source_with_its_checksum_beside_it(store, source):
    (copy,) = borrowed(store, source)
    assert copy.path.read_bytes() == source.read_bytes()
    assert copy.size == SIZE
    assert copy.seconds > 0
    assert copy.path.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert {path.name for path in copy.path.parent.iterdir()} == {"a.svs", RECORD, COPYING}
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert (copy.path.parent / RECORD).read_text() == f"{digest}  a.svs\n"
    done = subprocess.run(
        ["sha256sum", "--check", RECORD], cwd=copy.path.parent, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert store.folder.stat().st_mode & 0o777 == 0o700, "slides are of patients"


def test_the_second_time_it_is_there(store, source):
    first, second = borrowed(store, source, source)
    (third,) = borrowed(store, source)
    assert second.path == third.path == first.path
    assert second.seconds == third.seconds == 0
    assert {path.name for path in store.folder.iterdir()} == {".lock", first.path.parent.name}, (
        "no notes are left"
    )


def test_files_of_one_name_and_size_in_two_folders_are_two_copies(store, tmp_path):
    sources = [written(tmp_path / folder / "a.svs") for folder in ("one", "two")]
    assert [one.path.read_bytes() for one in borrowed(store, *sources)] == [
        one.read_bytes() for one in sources
    ]


def test_a_changed_source_is_copied_anew_and_the_old_copy_leaves_first(tmp_path, source):
    store = Store(tmp_path / "scratch", SIZE + 10)
    (old,) = borrowed(store, source)
    about = source.stat()
    written(source)
    os.utime(source, ns=(about.st_atime_ns, about.st_mtime_ns + 1))
    (new,) = borrowed(store, source)
    assert new.path.read_bytes() == source.read_bytes()
    assert not old.path.exists()


@pytest.mark.parametrize("damage", ["cut", "written to", "no checksum", "half a checksum", "gone"])
def test_a_copy_that_does_not_fit_is_replaced(store, source, damage):
    (copy,) = borrowed(store, source)
    record = copy.path.parent / RECORD
    match damage:
        case "cut":
            os.truncate(copy.path, SIZE - 1)
            os.utime(copy.path, ns=(0, source.stat().st_mtime_ns))
        case "written to":
            time.sleep(0.01)
            os.utime(source, ns=(0, 10**18))
            (copy,) = borrowed(store, source)
            with copy.path.open("r+b") as file:
                file.write(b"other")
        case "no checksum":
            record.unlink()
        case "half a checksum":
            record.write_text(record.read_text()[:30])
        case "gone":
            copy.path.unlink()
    (again,) = borrowed(store, source)
    assert again.seconds > 0
    assert again.path.read_bytes() == source.read_bytes()


def test_the_longest_unused_leave_and_no_more_than_need_be(tmp_path):
    store = Store(tmp_path / "scratch", 3 * SIZE)
    a, b, c, d = (written(tmp_path / "share" / f"{name}.svs") for name in "abcd")
    for one in (a, b, c, a):
        borrowed(store, one)
    assert held(store) == ["a.svs", "b.svs", "c.svs"]
    borrowed(store, d)
    assert held(store) == ["a.svs", "c.svs", "d.svs"]
    borrowed(store, written(tmp_path / "share" / "e.svs", 2 * SIZE))
    assert held(store) == ["d.svs", "e.svs"]


def test_what_is_in_use_stays_and_nothing_leaves_in_vain(tmp_path):
    store = Store(tmp_path / "scratch", 3 * SIZE)
    a, b = (written(tmp_path / "share" / f"{name}.svs") for name in "ab")
    large = written(tmp_path / "share" / "large.svs", 3 * SIZE)
    borrowed(store, a)
    with start(store, b, 0.0, "hold") as other:
        assert other.stdout.readline() == "copied\n"
        assert other.stdout.readline().startswith("took")
        with pytest.raises(
            NoCopy, match=r"^0.0003 GB, and beside the copies in use there is no room \(0.0003 GB in"
        ):
            borrowed(store, large)
        assert held(store) == ["a.svs", "b.svs"]
        other.communicate("")
    borrowed(store, large)
    assert held(store) == ["large.svs"]


def test_a_file_larger_than_all_may_be_is_refused_and_leaves_nothing(tmp_path, source):
    store = Store(tmp_path / "scratch", SIZE // 2)
    with pytest.raises(NoCopy, match=r"^0.0001 GB, and copies may take 5e-05 GB in all$"):
        borrowed(store, source)
    assert [path.name for path in store.folder.iterdir()] == [".lock"]


def test_by_default_copies_take_half_of_what_is_free(tmp_path, monkeypatch):
    free = 5 * SIZE
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10 * SIZE, 0, free))
    store = Store(tmp_path / "scratch", None)
    a, b, c = (written(tmp_path / "share" / f"{name}.svs") for name in "abc")
    borrowed(store, a, b)
    free = 3 * SIZE  # with both copies: 5
    with pytest.raises(NoCopy):
        borrowed(store, a, b, c)
    borrowed(store, c)
    assert held(store) == ["b.svs", "c.svs"]


def test_several_processes_at_once_make_one_copy(store, source):
    processes = [start(store, source, 0.5) for _ in range(4)]
    told = [process.communicate("")[0].split() for process in processes]
    assert sorted(one[-2] for one in told) == ["found"] * 3 + ["took"]
    assert len({one[-1] for one in told}) == 1
    assert sum(one.count("copied") for one in told) == 1


def test_another_file_is_not_kept_waiting(store, source, tmp_path):
    with start(store, source, 30.0) as other:
        assert other.stdout.readline() == "copied\n"
        began = time.monotonic()
        borrowed(store, written(tmp_path / "share" / "b.svs"))
        assert time.monotonic() - began < 10
        other.kill()


def test_who_waits_says_so_and_copies_itself_when_the_other_is_killed(store, source, caplog):
    caplog.set_level(logging.INFO)
    other = start(store, source, 60.0)
    assert other.stdout.readline() == "copied\n"
    killer = subprocess.Popen(["/bin/sh", "-c", f"sleep 1; kill -9 {other.pid}"])
    (copy,) = borrowed(store, source)
    killer.wait()
    killed(other)
    assert copy.seconds > 0
    assert copy.path.read_bytes() == source.read_bytes()
    assert "another process is copying it; waiting" in caplog.text
    assert not list(store.folder.rglob("*partial*"))


def test_what_a_killed_process_left_is_not_taken_for_whole_and_goes(store, source, tmp_path):
    other = start(store, source, 60.0)
    assert other.stdout.readline() == "copied\n"
    killed(other)
    assert list(store.folder.rglob(".a.*.partial.svs"))
    assert list(store.folder.glob("*.borrowed"))
    borrowed(store, written(tmp_path / "share" / "b.svs"))
    assert held(store) == ["b.svs"]
    assert len(list(store.folder.iterdir())) == 2, "the lock and the copy"


def test_a_killed_reader_holds_no_copy(tmp_path, source):
    store = Store(tmp_path / "scratch", SIZE)
    other = start(store, source, 0.0, "hold")
    assert other.stdout.readline() == "copied\n"
    assert other.stdout.readline().startswith("took")
    killed(other)
    borrowed(store, written(tmp_path / "share" / "b.svs"))
    assert held(store) == ["b.svs"]


def test_a_source_that_changes_meanwhile_and_a_disk_that_lies_are_no_copies(store, source, monkeypatch):
    copied = copies._copy

    def touched(given, path):
        digest = copied(given, path)
        os.utime(given, ns=(0, 1))
        return digest

    def forgotten(given, path):
        digest = copied(given, path)
        with path.open("r+b") as file:
            file.write(b"\0" * 10)
        return digest

    for way, told in ((touched, "it was changed while"), (forgotten, "does not hold what was written there")):
        monkeypatch.setattr(copies, "_copy", way)
        with pytest.raises(NoCopy, match=told):
            borrowed(store, source)
        assert [path.name for path in store.folder.iterdir()] == [".lock"]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("may not mount a disk here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_seen_before(small_disk, tmp_path):
    store = Store(small_disk / "scratch", 10**9)
    with pytest.raises(NoCopy, match=r"no room \(1 GB in all, 0.001\d+ GB free on the disk\)$"):
        borrowed(store, written(tmp_path / "share" / "a.svs", 2 << 20))


def test_a_disk_that_fills_meanwhile_keeps_nothing(small_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 10**9))
    store = Store(small_disk / "scratch", 10**9)
    with pytest.raises(OSError, match="No space left") as caught:
        borrowed(store, written(tmp_path / "share" / "a.svs", 2 << 20))
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in store.folder.iterdir()] == [".lock"]


def test_a_child_that_is_forked_keeps_the_copy_in_use(tmp_path, source):
    store = Store(tmp_path / "scratch", SIZE)
    with contextlib.ExitStack() as stack:
        borrow = stack.enter_context(store.borrowing())
        borrow(source)
        (notes,) = store.folder.glob("*.borrowed")
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        with notes.open() as again:
            stack.close()
            with pytest.raises(BlockingIOError):
                fcntl.flock(again, fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
