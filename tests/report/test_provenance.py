import hashlib
import subprocess

from hooknet.io.checksums import sha256_of
from hooknet.report.notices import logged
from hooknet.report.provenance import commit, steps

HEAD = "s\th:m:s\tmax_rss\tmax_vms\n"


def write(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + "".join(rows))


def test_time_and_memory_are_those_of_this_datasets_jobs(tmp_path):
    write(tmp_path / "train" / "unet.tsv", "10.5\t0:00:10\t2000.4\t1\n")
    write(tmp_path / "train" / "other_run.tsv", "99\t0:01:39\t9000\t1\n")
    write(tmp_path / "infer" / "unet" / "a.tsv", "2\t0:00:02\t300\t1\n")
    write(tmp_path / "infer" / "unet" / "b.tsv", "3\t0:00:03\tNA\t-\n")
    write(tmp_path / "check_slide" / "mine" / "a.tsv", "1\t0:00:01\t50\t1\n")
    write(tmp_path / "check_slide" / "theirs" / "a.tsv", "70\t0:01:10\t5000\t1\n")
    write(tmp_path / "make_demo_slide" / "a.tsv", "4\t0:00:04\t60\t1\n")
    (tmp_path / "empty").mkdir()
    found = steps(tmp_path, "mine", ["unet"], ["a", "b"])
    assert found.values.tolist() == [
        ["check-slide", 1, 1.0, 1.0, 50],
        ["infer", 2, 5.0, 3.0, 300],
        ["make-demo-slide", 1, 4.0, 4.0, 60],
        ["train", 1, 10.5, 10.5, 2000],
    ]


def test_without_benchmark_files_there_are_no_steps(tmp_path):
    assert steps(tmp_path / "nothing", "mine", [], []).empty


def test_the_commit_is_told_with_what_changed_since(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    assert commit(tmp_path) == {}
    git("init", "-q")
    (tmp_path / "hooknet").mkdir()
    (tmp_path / "hooknet" / "a.py").write_text("one")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one")
    told = commit(tmp_path)
    assert len(told["commit"]) == 40
    assert told["changed since"] == "nothing"
    (tmp_path / "hooknet" / "a.py").write_text("two")
    (tmp_path / "hooknet" / "new.py").write_text("")
    (tmp_path / "results.txt").write_text("")
    assert commit(tmp_path)["changed since"] == "hooknet/a.py, hooknet/new.py"
    (tmp_path / ".git" / "index").write_bytes(b"damaged")
    assert commit(tmp_path)["changed since"] == "not known: git failed"


def test_checksums_are_those_of_sha256sum(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content" * 100_000)
    assert sha256_of(path) == hashlib.sha256(b"content" * 100_000).hexdigest()


def test_warnings_of_logs_are_told_once_for_each_step_with_the_files_they_are_about(tmp_path):
    for path, text in {
        "train/unet.log": "12:00:00 WARNING low memory\n12:00:01 INFO fine\nUserWarning: WARNING not ours\n",
        "infer/unet/a.log": "12:00:02 WARNING low memory\n",
        "infer/unet/b.log": "12:00:03 WARNING low memory\n12:00:03 WARNING <b>odd</b>\n",
        "infer/other/b.log": "12:00:03 WARNING another run's\n",
        **{f"check_slide/mine/{name}.log": f"12:00:03 WARNING p1/{name}.svs: coarse\n" for name in "abcdef"},
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert logged(tmp_path, ("mine", "unet")) == [
        "check-slide: coarse: a.svs, b.svs, c.svs, d.svs and 2 more",
        "infer: low memory (2 times)",
        "infer: <b>odd</b>",
        "train: low memory",
    ]
