import copy
import os
import re
import subprocess
from importlib.util import find_spec

import made_bucket
import made_workflow
import pytest
import yaml
from made_workflow import BIN, ENVIRONMENT, ROOT

PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))
EXECUTORS = {
    "slurm": "slurm", "sge": "cluster_generic", "lsf": "lsf", "kubernetes": "kubernetes", "aws-batch": "aws_batch",
}  # fmt: skip
#: Engines whose jobs share no disk: everything is an object in a bucket, and a dry run looks there.
CLOUDS = {"kubernetes", "aws-batch"}


def lines(name, file="config.yaml"):
    return (ROOT / "profiles" / name / file).read_text().splitlines()


def settings(name):
    return yaml.safe_load("\n".join(lines(name)))


@pytest.fixture(scope="module")
def rule_names(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rules")
    made_workflow.write(folder)
    found = made_workflow.snakemake(folder, "--list-rules", "--quiet")
    return set(re.findall(r"^(\w+)$", found.stdout, re.MULTILINE))


@pytest.fixture(scope="module")
def empty_bucket(tmp_path_factory):
    """The address of an object storage whose bucket holds nothing."""
    folder = tmp_path_factory.mktemp("objects")
    (folder / "bucket").mkdir()
    with made_bucket.served(folder) as address:
        yield address


def dry_run(folder, *options, environment=None):
    words = [str(BIN / "snakemake"), "-s", str(ROOT / "Snakefile"), "-n", "--nocolor", *options]
    done = subprocess.run(
        words,
        cwd=folder,
        env={**ENVIRONMENT, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def asked(told, rule):
    """Resource -> what the jobs of a rule ask for, in a dry run."""
    found = re.findall(
        rf"^(?:rule|checkpoint) {rule}:\n(?:    .*\n)*?    resources: (.*)", told, re.MULTILINE
    )
    assert found, rule
    return [dict(part.split("=", 1) for part in one.split(", ") if "=" in part) for one in found]


def test_there_are_the_profiles_that_are_spoken_of():
    assert set(PROFILES) == {"default", *EXECUTORS}


@pytest.mark.parametrize("name", PROFILES)
def test_rules_that_profiles_name_exist(name, rule_names):
    assert {"train", "infer", "report"} <= rule_names
    for key in ("set-resources", "set-threads"):
        assert set(settings(name).get(key, {})) <= rule_names


def test_the_submit_command_of_grid_engine_ends_with_its_options():
    # What follows, the job's script, would be part of a comment.
    assert "#" not in settings("sge")["cluster-generic-submit-cmd"]


@pytest.mark.parametrize(
    ("name", "key"), [("lsf", "lsf_extra"), ("kubernetes", "gpu_manufacturer"), ("aws-batch", "_gpus")]
)
def test_engines_with_another_word_for_a_gpu_are_told_for_every_rule_that_has_one(name, key):
    texts = "\n".join(path.read_text() for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
    parts = re.split(r"^rule (\w+):$", texts, flags=re.MULTILINE)
    with_gpu = {rule for rule, text in zip(parts[1::2], parts[2::2], strict=True) if " gpu=" in text}
    copies = re.findall(r"^use rule (\w+) as (\w+) with:$", texts, re.MULTILINE)
    for _ in copies:  # copies of copies too
        with_gpu |= {copy for rule, copy in copies if rule in with_gpu}
    told = settings(name)["set-resources"]
    assert {rule for rule, one in told.items() if key in one} == with_gpu


@pytest.mark.parametrize("name", PROFILES)
def test_every_entry_of_a_profile_has_a_reason(name):
    entries = [one for one in lines(name) if re.match(r"\s*(- )?[\w-]+(:|=)", one)]
    assert len(entries) >= 4
    assert [one for one in entries if "#" not in one] == []


def test_every_limit_of_a_partition_has_a_reason():
    entries = [one for one in lines("slurm", "partitions.yaml") if re.match(r"    \w+:", one)]
    assert len(entries) == 7
    assert [one for one in entries if "#" not in one] == []


def test_no_rule_names_a_partition_queue_or_retries():
    for path in (ROOT / "workflow").rglob("*.smk"):
        words = set(re.findall(r"\w+(?=\s*[:=])", path.read_text()))
        assert not words & {"slurm_partition", "partition", "qos", "lsf_queue", "slurm_extra", "retries"}, (
            path
        )


@pytest.mark.parametrize("name", sorted(EXECUTORS))
def test_jobs_are_tried_again_by_the_profile(name):
    assert settings(name)["retries"] == 2


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_dry_runs(name, tmp_path, empty_bucket):
    executor = EXECUTORS.get(name)
    if executor and find_spec(f"snakemake_executor_plugin_{executor}") is None:
        pytest.skip(f"the executor {executor} is not installed (see the extras in pyproject.toml)")
    made_workflow.write(tmp_path)
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    options = ["--profile", f"profiles/{name}"]
    if name == "default":
        options += ["--cores", "1"]
    if name in CLOUDS:
        if find_spec("snakemake_storage_plugin_s3") is None:
            pytest.skip("the storage plugin for S3 is not installed (see the extras in pyproject.toml)")
        told = dry_run(
            tmp_path, *options, "--storage-s3-endpoint-url", empty_bucket, environment=made_bucket.KEYS
        )
    else:
        told = dry_run(tmp_path, *options)
    assert {one["gpu"] for one in asked(told, "train")} == {"1"}
    if executor == "lsf":
        assert {one["lsf_extra"] for one in asked(told, "train")} == {"-gpu num=1"}
    if executor == "aws_batch":
        assert {one["_gpus"] for one in asked(told, "infer")} == {"1"}


def several(**train):
    experiments = copy.deepcopy(made_workflow.EXPERIMENTS)
    experiments["defaults"]["train"] |= train
    return experiments


@pytest.mark.parametrize("options", [("--profile", "profiles/slurm"), ()])
def test_a_training_asks_for_a_gpu_cores_and_memory_for_each_of_its_processes(options, tmp_path):
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    found = []
    for devices in ("auto", 3):
        made_workflow.write(tmp_path, several(devices=devices, batch=6))
        told = dry_run(
            tmp_path, *options, "--cores", "8"
        )  # a dry run takes threads for those of this machine
        assert {one["gpu"] for one in asked(told, "infer")} == {"1"}
        trainings = asked(told, "train")
        threads = re.findall(r"^rule train:\n(?:    .*\n)*?    threads: (.*)", told, re.MULTILINE)
        found.append(
            ([one["gpu"] for one in trainings], threads, sum(int(one["mem_mb"]) for one in trainings))
        )
    assert [one[:2] for one in found] == [(["1"] * 3, []), (["3"] * 3, ["3"] * 3)]
    # All but patches, which are shared, is what each process takes.
    assert found[1][2] == pytest.approx(3 * found[0][2], rel=0.01)


def test_a_limit_on_gpus_holds_for_trainings_on_several(tmp_path):
    made_workflow.write(tmp_path, several(devices=3, batch=6))
    told = dry_run(tmp_path, "--cores", "2", "--resources", "gpu=1")
    assert {one["gpu"] for one in asked(told, "train")} == {"1"}


def test_several_machines_are_asked_of_slurm_and_the_command_is_started_once_for_each_process(tmp_path):
    (tmp_path / "profiles").symlink_to(ROOT / "profiles")
    made_workflow.write(tmp_path, several(nodes=2, devices=3, batch=6))
    told = dry_run(tmp_path, "-p", "--profile", "profiles/slurm")
    wanted = {"nodes": "2", "tasks_per_node": "3", "cpus_per_task": "1", "gres": "gpu:3", "mpi": "srun"}
    for one in asked(told, "train"):
        assert {key: one[key] for key in wanted} == wanted
        assert not {"gpu", "tasks"} & set(one)
    words = "srun --nodes=2 --ntasks-per-node=3 --cpus-per-task=1 --kill-on-bad-exit=1"
    commands = re.findall(r"^Shell command: (.*) --run", told, re.MULTILINE)
    trainings = [one for one in commands if "hooknet train" in one]
    assert trainings == [f"${{SLURM_JOB_ID:+{words}}} python -m hooknet train"] * 3
    assert [one for one in commands if "srun" in one] == trainings


def test_resources_grow_with_the_slide(tmp_path):
    made_workflow.write(tmp_path)
    dataset = tmp_path / "config" / "datasets.yaml"
    content = yaml.safe_load(dataset.read_text())
    del content["datasets"]["tiny"]["phantom"]
    content["datasets"]["tiny"]["files"] = {
        "slide": "{id}.tif",
        "annotation": "{id}.xml",
        "truth": "{id}.truth.tif",
    }
    dataset.write_text(yaml.safe_dump(content))
    for slide in ("a1", "b1", "c1"):
        for ending in ("xml", "truth.tif"):
            (tmp_path / f"{slide}.{ending}").touch()
        (tmp_path / f"{slide}.tif").touch()
    record = tmp_path / "results" / "slides" / "tiny" / "a1" / "slide.json"
    record.parent.mkdir(parents=True)
    record.touch()
    small = asked(dry_run(tmp_path, "results/slides/tiny/a1/tissue.tif"), "detect_tissue")
    slide = tmp_path / "a1.tif"
    when = slide.stat().st_mtime
    os.truncate(slide, 3_000_000_000)
    os.utime(slide, (when, when))
    large = asked(dry_run(tmp_path, "results/slides/tiny/a1/tissue.tif"), "detect_tissue")
    assert int(large[0]["runtime"]) > 2 * int(small[0]["runtime"])
