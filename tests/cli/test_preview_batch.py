from pathlib import Path

import pytest
import yaml
from made_cohort import CENTRES, FILES, RUN, SLIDES, hooknet, refuse
from PIL import Image

PREPARE = "make it first: snakemake --cores 4 prepare"


@pytest.fixture(autouse=True)
def here(cohort):
    return cohort


def preview(*arguments):
    return ["preview-batch", "unet", *arguments, *FILES]


def test_a_run_s_name_is_enough():
    outcome = hooknet(*preview())
    assert (outcome.status, outcome.out) == (0, f"{RUN}/preview.png\n")
    with Image.open(RUN / "preview.png") as picture:
        assert picture.format == "PNG"
        four_rows = picture.size
    assert hooknet(*preview("--patches", 1, "--output", "one.png")).status == 0
    with Image.open("one.png") as picture:
        assert picture.size[0] == four_rows[0]
        assert picture.size[1] < four_rows[1] / 2


def test_no_training_is_needed_and_nothing_else_is_written():
    for path in RUN.rglob("*"):
        if path.is_file():
            path.unlink()
    before = {path for path in Path().rglob("*") if path.is_file()}
    assert hooknet(*preview()).status == 0
    assert {path for path in Path().rglob("*") if path.is_file()} - before == {RUN / "preview.png"}


def test_the_same_command_gives_the_same_picture_and_another_seed_another():
    for name, more in (("a.png", ()), ("b.png", ("--seed", 1)), ("c.png", ("--seed", 2))):
        assert hooknet(*preview("--output", name, *more)).status == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()  # 1 is the run's own
    assert Path("a.png").read_bytes() != Path("c.png").read_bytes()


def test_folders_may_be_named_as_train_has_them():
    SLIDES.rename("elsewhere")
    named = ("--slides-folder", "elsewhere", "--splits", "elsewhere/splits.tsv", "--output", "a.png")
    assert hooknet(*preview(*named)).status == 0
    assert Path("a.png").is_file()


def test_missing_index_is_one_line():
    (SLIDES / "a" / CENTRES).unlink()
    assert refuse(*preview()) == f"{SLIDES}/a/{CENTRES}: no such file; {PREPARE}"
    (SLIDES / "a" / "labels.tif").unlink()
    assert refuse(*preview()) == f"{SLIDES}/a/labels.tif: no such file (and 1 more such files); {PREPARE}"


def test_missing_sheet_of_made_splits_is_one_line():
    document = yaml.safe_load(Path("datasets.yaml").read_text())
    for slide in document["datasets"]["colon"]["slides"]:
        del slide["split"]
    document["datasets"]["colon"]["splits"] = {"ratios": {"training": 0.4, "validation": 0.3, "test": 0.3}}
    Path("datasets.yaml").write_text(yaml.safe_dump(document))
    (SLIDES / "splits.tsv").unlink()
    assert refuse(*preview()) == f"{SLIDES}/splits.tsv: no such file; {PREPARE}"


def test_unknown_run_is_one_line():
    assert refuse("preview-batch", "unett", *FILES) == (
        "experiments.yaml: no run 'unett'; did you mean 'unet'? possible: unet"
    )


def test_slide_that_went_missing_is_one_line():
    Path("a.tif").unlink()
    assert "a.tif" in refuse(*preview())
    assert not (RUN / "preview.png").exists()


def test_a_run_that_trains_on_nothing_is_one_line():
    document = yaml.safe_load(Path("experiments.yaml").read_text())
    document["experiments"]["unet"]["checkpoint"] = "results/runs/unet/best.ckpt"
    Path("experiments.yaml").write_text(yaml.safe_dump(document))
    slides = yaml.safe_load(Path("datasets.yaml").read_text())
    for slide in slides["datasets"]["colon"]["slides"]:
        slide["split"] = "test"
    Path("datasets.yaml").write_text(yaml.safe_dump(slides))
    assert refuse(*preview()) == (
        "run unet: found no training slide, wanted one to show patches of; name a run that trains, "
        "or give slides the split training"
    )
