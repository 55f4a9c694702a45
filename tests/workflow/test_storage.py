"""Slides that are objects in a bucket: Snakemake's S3 plugin against a small object storage on this machine."""

import copy
import os
import re
import subprocess
from importlib.util import find_spec

import made_bucket
import made_workflow
import pytest
import yaml
from made_workflow import BIN, ENVIRONMENT, EXPERIMENTS, ROOT

PREFIX = "s3://bucket/hooknet"
PLUGINS = {"kubernetes": "kubernetes", "aws-batch": "aws_batch"}
STORAGE = [
    "--default-storage-provider",
    "s3",
    "--default-storage-prefix",
    PREFIX,
    "--cores",
    "2",
    "--resources",
    "gpu=1",
]
SIZE = 2_500_000

pytestmark = pytest.mark.skipif(
    find_spec("snakemake_storage_plugin_s3") is None,
    reason="the storage plugin for S3 is not installed (see the extras in pyproject.toml)",
)


def snakemake(folder, address, *options):
    words = [str(BIN / "snakemake"), "-s", str(ROOT / "Snakefile"), "--nocolor", *options]
    return subprocess.run(
        [*words, "--storage-s3-endpoint-url", address],
        cwd=folder,
        env={**ENVIRONMENT, **made_bucket.KEYS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture
def objects(tmp_path):
    """The folder that is `s3://bucket/hooknet`, with slides, annotations and truth that nobody opens."""
    folder = tmp_path / "objects" / "bucket" / "hooknet"
    (folder / "data").mkdir(parents=True)
    for slide in ("a1", "b1", "c1"):
        (folder / "data" / f"{slide}.xml").touch()
        (folder / "data" / f"{slide}.truth.tif").touch()
        (folder / "data" / f"{slide}.tif").touch()
        os.truncate(folder / "data" / f"{slide}.tif", SIZE)
    return folder


@pytest.fixture
def address(objects):
    with made_bucket.served(objects.parents[1]) as found:
        yield found


@pytest.fixture
def plan(tmp_path):
    """A folder with the two configuration files and no slide."""
    folder = tmp_path / "plan"
    folder.mkdir()
    # The sizes of slides are those of their objects.
    split = copy.deepcopy(EXPERIMENTS)
    split["experiments"]["hooknet"]["infer"] = {"split_gb": 0.001}
    configure(folder, split)
    (folder / "profiles").symlink_to(ROOT / "profiles")
    return folder


def configure(folder, experiments):
    made_workflow.write(folder, experiments)
    path = folder / "config" / "datasets.yaml"
    content = yaml.safe_load(path.read_text())
    del content["datasets"]["tiny"]["phantom"]
    content["datasets"]["tiny"]["files"] = {
        "slide": "data/{id}.tif", "annotation": "data/{id}.xml", "truth": "data/{id}.truth.tif",
    }  # fmt: skip
    path.write_text(yaml.safe_dump(content))


def counts(told):
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", told, re.MULTILINE)}


EXPECTED = {
    "check_slide": 3, "detect_tissue": 1, "train": 3, "infer": 1, "infer_with_probabilities": 1, "infer_band": 3,
    "report": 1,
}  # fmt: skip


@pytest.mark.parametrize("how", ["this machine", *PLUGINS])
def test_a_dry_run_finds_slides_in_the_bucket_and_plans_all_jobs(how, plan, address):
    if how in PLUGINS and find_spec(f"snakemake_executor_plugin_{PLUGINS[how]}") is None:
        pytest.skip(f"the executor {how} is not installed (see the extras in pyproject.toml)")
    options = ["--profile", f"profiles/{how}"] if how in PLUGINS else STORAGE
    found = snakemake(plan, address, "-n", *options)
    assert found.returncode == 0, found.stdout
    assert f"{PREFIX}/data/c1.tif (retrieve from storage)" in found.stdout
    assert "make_demo_slide" not in found.stdout
    assert EXPECTED.items() <= counts(found.stdout).items()


def test_a_slide_that_is_not_in_the_bucket_is_named(plan, objects, address):
    (objects / "data" / "b1.tif").unlink()
    found = snakemake(plan, address, "-n", *STORAGE)
    assert found.returncode != 0
    assert "Missing input files" in found.stdout
    assert f"{PREFIX}/data/b1.tif" in found.stdout


def test_jobs_run_where_the_bucket_is_also_the_working_directory(tmp_path):
    """As where it is mounted: commands find by path what Snakemake has stored as objects."""
    work = tmp_path / "objects" / "bucket" / "hooknet"
    work.mkdir(parents=True)
    made_workflow.write(work)
    with made_bucket.served(tmp_path / "objects") as address:
        options = [
            "--local-storage-prefix",
            str(tmp_path / "local"),
            "--until",
            "detect_tissue",
            "make_splits",
        ]
        found = snakemake(work, address, *STORAGE, *options)
    assert found.returncode == 0, found.stdout
    done = work / "results" / "slides" / "tiny"
    assert "Storing in storage: s3://bucket/hooknet/results/slides/tiny/splits.tsv" in found.stdout
    assert {path.name for path in (done / "a1").iterdir()} >= {"slide.json", "labels.tif"}
    assert (done / "splits.tsv").read_text().count("\n") == 4
