"""Commands that read much read slides from copies where the machine asks for that, and nobody writes beside slides."""

import contextlib
import logging
import os
import subprocess
from pathlib import Path

import made_cohort
import made_staged_project
import openslide
import pytest
import torch
import yaml
from made_cohort import RUN, all_steps, hooknet, refuse, snapshot, step

from hooknet.io import slide_file

MAP, BEST = RUN / "maps" / "c.tif", RUN / "best.ckpt"


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setenv("HOOKNET_STAGE", str(tmp_path / "scratch"))
    return tmp_path / "scratch" / f"hooknet-{os.getuid()}"


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A function that tells what OpenSlide has opened, also in processes that were forked."""
    notes, really = tmp_path / "opened.txt", openslide.OpenSlide

    def watched(path):
        with notes.open("a") as file:
            print(path, file=file)
        return really(path)

    watched.detect_format = really.detect_format
    monkeypatch.setattr(slide_file.openslide, "OpenSlide", watched)
    return lambda: {Path(line) for line in notes.read_text().splitlines()}


def test_a_map_is_the_same_bytes_from_a_copy(cohort, scratch, opened, caplog):
    caplog.set_level(logging.INFO)
    before = MAP.read_bytes()
    MAP.unlink()
    assert hooknet(*step("infer")).status == 0
    assert f"c.tif: copied to {scratch}/" in caplog.text
    assert MAP.read_bytes() == before
    assert opened() == set(scratch.glob("*/c.tif"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_training_is_the_same_from_copies_that_its_readers_share(cohort, scratch, opened, workers):
    document = yaml.safe_load(Path("experiments.yaml").read_text())
    document["experiments"]["unet"]["train"]["workers"] = workers
    Path("experiments.yaml").write_text(yaml.safe_dump(document))
    before, curves = torch.load(BEST, weights_only=True)["state"], (RUN / "metrics.csv").read_bytes()
    for path in (BEST, RUN / "last.ckpt", RUN / "metrics.csv"):
        path.unlink()
    outcome = hooknet(*step("train"))
    assert outcome.status == 0
    after = torch.load(BEST, weights_only=True)["state"]
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (RUN / "metrics.csv").read_bytes() == curves
    assert opened() == {*scratch.glob("*/a.tif"), *scratch.glob("*/b.tif")}
    assert len(opened()) == 2


def test_patches_are_classified_from_a_copy_and_whole_slides_read_where_they_are(
    tmp_path, scratch, opened, monkeypatch
):
    made_staged_project.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    files = ["--checkpoint", "patches.ckpt", "--output", "map.tif", "--probabilities", "heat.tif"]
    about = ("--dataset", "colon", "--slide", "c", "--output", "t.tif", *made_staged_project.FILES)
    assert hooknet("detect-tissue", *about).status == 0
    files += ["--tissue", "t.tif"]
    arguments = made_staged_project.step("classify-patches", "patches", *files)
    assert hooknet(*arguments).status == 0
    assert opened() == {Path("c.tif"), *scratch.glob("*/c.tif")}, "the first to find tissue, at low power"
    heat = Path("heat.tif").read_bytes()
    monkeypatch.delenv("HOOKNET_STAGE")
    assert hooknet(*arguments).status == 0
    assert Path("heat.tif").read_bytes() == heat


def test_readers_of_heads_copy_nothing(cohort, scratch):
    for name in ("check-slide", "read-annotations", "rasterise", "detect-tissue"):
        assert hooknet(*step(name)).status == 0
    assert not scratch.exists()


def test_a_size_that_is_none_is_one_line(cohort, scratch, monkeypatch):
    monkeypatch.setenv("HOOKNET_STAGE_GB", "all")
    assert refuse(*step("infer")).startswith("HOOKNET_STAGE_GB: found 'all', wanted how many GB")


@contextlib.contextmanager
def read_only(folder):
    """The folder as a disk that nobody can write to, root neither; where that may not be made it stays as it is."""
    mounted = False
    for options in (["--bind"], ["-o", "remount,ro,bind"]):
        done = subprocess.run(["mount", *options, folder, folder], capture_output=True, check=False)
        mounted = mounted or done.returncode == 0
    if mounted:
        with pytest.raises(OSError, match="Read-only"):
            (folder / "a").touch()
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)


def test_slides_on_a_disk_that_is_read_only_serve_all_steps(tmp_path, monkeypatch, scratch):
    share, work = tmp_path / "share", tmp_path / "work"
    share.mkdir()
    made_cohort.write(share)
    work.mkdir()
    monkeypatch.chdir(work)
    for name in ("datasets.yaml", "experiments.yaml"):
        (share / name).rename(work / name)
    text = Path("datasets.yaml").read_text()
    Path("datasets.yaml").write_text(
        text.replace("'{id}.", f"'{share}/{{id}}.").replace("c.png", f"{share}/c.png")
    )
    before = snapshot(share)
    with read_only(share):
        for arguments in all_steps():
            places = [f"{share}/{one}" if (share / str(one)).is_file() else one for one in arguments]
            outcome = hooknet(*places)
            assert outcome.status == 0, (arguments, outcome)
        assert snapshot(share) == before
        assert {path.name for path in share.iterdir()} == {
            "a.tif",
            "a.xml",
            "b.tif",
            "b.xml",
            "c.tif",
            "c.xml",
            "c.png",
        }
    assert len(list(scratch.glob("*/?.tif"))) == 3
    assert Path("results/report/colon/index.html").is_file()
