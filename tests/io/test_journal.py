"""Records survive what cuts a process or a file off; what does not, is none."""

import logging
import subprocess
import sys

import pytest

from hooknet.io.journal import Journal

RECORDS = [b"one", b"", bytes(range(256)) * 40]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / ".a.tiles"


def write(path, records=RECORDS, **depends):
    with Journal(path, depends) as journal:
        for one in records:
            journal.append(one)


def records(path, **depends):
    with Journal(path, depends) as journal:
        return [journal.read(number) for number in range(len(journal))]


def test_records_are_there_for_who_depends_on_the_same(path):
    write(path, weights="a")
    assert records(path, weights="a") == RECORDS
    write(path, [b"more"], weights="a")
    assert records(path, weights="a") == [*RECORDS, b"more"]
    assert records(path, weights="b") == []
    assert not path.exists()  # and it is gone, being of no use to anybody


def test_a_file_cut_anywhere_has_the_whole_records_before(path):
    write(path, weights="a")
    content = path.read_bytes()
    ends = [len(content) - sum(8 + len(one) for one in RECORDS[count:]) for count in range(len(RECORDS) + 1)]
    for size in [*range(ends[-2] + 12), len(content) - 1]:
        path.write_bytes(content[:size])
        whole = sum(1 for end in ends[1:] if end <= size)
        assert records(path, weights="a") == RECORDS[:whole]
        if whole:  # and can be gone on with
            write(path, [b"more"], weights="a")
            assert records(path, weights="a") == [*RECORDS[:whole], b"more"]


def test_a_damaged_record_and_those_behind_it_do_not_count(path):
    write(path, weights="a")
    content = bytearray(path.read_bytes())
    start = len(content) - sum(8 + len(one) for one in RECORDS)
    for place, whole in ((start, 0), (start + 3, 0), (start + 9, 0), (start + 12, 1), (len(content) - 1, 2)):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        path.write_bytes(changed)
        assert records(path, weights="a") == RECORDS[:whole]


def test_records_are_cut(path):
    write(path)
    with Journal(path, {}) as journal:
        journal.cut(1)
        journal.append(b"more")
    assert records(path) == [RECORDS[0], b"more"]


def test_where_nothing_was_written_nothing_is_left(path):
    with Journal(path, {}) as journal:
        assert len(journal) == 0
    assert not path.exists()


def test_another_process_at_work_is_not_disturbed(path, caplog):
    with Journal(path, {"weights": "a"}) as journal:
        journal.append(b"one")
        with Journal(path, {"weights": "b"}) as other:
            other.append(b"two")
            assert len(other) == 0
        assert [record.message for record in caplog.records] == [
            f"{path}: another process is at work on it; this one keeps nothing"
        ]
        journal.append(b"three")
    assert records(path, weights="a") == [b"one", b"three"]


def test_a_disk_that_refuses_it_is_told_once(path, caplog):
    path.mkdir(parents=True)
    with caplog.at_level(logging.WARNING), Journal(path, {}) as journal:
        journal.append(b"one")
        journal.append(b"two")
        assert len(journal) == 0
    assert [record.message for record in caplog.records] == [
        f"{path}: cannot be kept (Is a directory); interrupted now this begins anew"
    ]


FULL = """
import logging, resource, sys
from pathlib import Path
from hooknet.io.journal import Journal
logging.basicConfig(level=logging.WARNING, format="%(message)s")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with Journal(Path(sys.argv[1]), {}) as journal:
    for number in range(5):
        journal.append(bytes(400))
        print(len(journal))
"""


def test_a_full_disk_is_told_once_and_gets_its_room_back(path):
    found = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["1", "2", "0", "0", "0"]
    assert found.stderr == f"{path}: cannot be kept (File too large); interrupted now this begins anew\n"
    assert not path.exists()
