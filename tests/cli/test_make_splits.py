import json
from pathlib import Path

import pytest
import yaml
from made_cohort import SLIDES, hooknet, refuse, step

OUTPUT = SLIDES / "splits.tsv"


@pytest.fixture(autouse=True)
def undivided(cohort):
    OUTPUT.unlink()


def no_gland(slide, role="labels"):
    path = SLIDES / slide / f"{role}.json"
    record = json.loads(path.read_text())
    record["pixels"]["gland"] = 0
    path.write_text(json.dumps(record))


def make(**splits):
    """Let the splits be made."""
    document = yaml.safe_load(Path("datasets.yaml").read_text())
    dataset = document["datasets"]["colon"]
    dataset["splits"] = splits
    for row in dataset["slides"]:
        del row["split"]
    Path("datasets.yaml").write_text(yaml.safe_dump(document))


def test_given_splits_are_written_as_they_are():
    outcome = hooknet(*step("make-splits"))
    assert (outcome.status, outcome.out) == (0, "1 training, 1 validation, 1 test\n")
    assert OUTPUT.read_text() == "id\tfold\tsplit\na\t\ttraining\nb\t\tvalidation\nc\t\ttest\n"


def test_made_folds_hold_every_patient_once():
    make(folds=3)
    outcome = hooknet(*step("make-splits"))
    assert outcome.status == 0
    assert outcome.out == "".join(f"fold {fold}: 1 training, 1 validation, 1 test\n" for fold in range(3))
    rows = [line.split("\t") for line in OUTPUT.read_text().splitlines()[1:]]
    assert sorted(slide for slide, *_ in rows) == ["a", "b", "c"]
    assert sorted(fold for _, fold, _ in rows) == ["0", "1", "2"]
    assert {split for *_, split in rows} == {""}


@pytest.mark.parametrize(
    ("slide", "role", "split"),
    [("a", "labels", "training"), ("b", "labels", "validation"), ("c", "truth", "test")],
)
def test_class_absent_from_a_split_is_one_line(slide, role, split):
    no_gland(slide, role)
    assert refuse(*step("make-splits")) == (
        f"datasets.yaml: datasets.colon: no {split} slide of run unet has an annotated pixel of gland "
        f"(its slides: {slide}); move a slide that has, annotate more, or take the class out"
    )


def test_more_folds_than_patients_is_one_line():
    make(folds=4)
    assert refuse(*step("make-splits")) == (
        "splits: 3 patients cannot fill 4 splits; add patients or make fewer splits"
    )


def test_missing_counts_are_one_line():
    (SLIDES / "a" / "labels.json").unlink()
    assert refuse(*step("make-splits")).startswith(f"{SLIDES}/a/labels.json: not a readable JSON record (")
