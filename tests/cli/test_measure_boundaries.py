import csv

import numpy as np
import pytest
from made_cohort import hooknet, refuse

from hooknet.coordinates import RasterGrid
from hooknet.io.masks import create_mask

NAMES = ("stroma", "gland")
ARGUMENTS = (
    "measure-boundaries", "--slide", "c", "--truth", "truth.tif", "--prediction", "map.tif",
    "--output", "out/boundaries.csv",
)  # fmt: skip


def write(path, column, names=NAMES):
    """A mask of 0.5 µm/px: stroma to the left of a column, gland to its right."""
    labels = np.full((40, 60), 2, np.uint8)
    labels[:, :column] = 1
    with create_mask(path, RasterGrid(60, 40, 0.5, 2.0, 2.0), names, {1: (1, 0, 0), 2: (2, 0, 0)}) as mask:
        mask.write(0, 0, labels)


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("truth.tif", 30)
    write("map.tif", 37)


def rows():
    with open("out/boundaries.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_scores_of_every_class_are_written():
    assert hooknet(*ARGUMENTS).status == 0
    assert [row["class"] for row in rows()] == ["stroma", "gland"]
    for row in rows():
        assert (row["slide"], row["tolerance_um"], row["note"]) == ("c", "5.0", "")
        assert (row["truth_elements"], row["truth_within"]) == ("40", "40")
        assert (float(row["surface_dice"]), float(row["hd95_um"])) == (1, 3.5)


def test_a_boundary_further_away_than_the_tolerance_is_not_met():
    assert hooknet(*ARGUMENTS, "--tolerance-um", 3.4).status == 0
    assert [(row["tolerance_um"], float(row["surface_dice"])) for row in rows()] == [("3.4", 0)] * 2


def test_bad_input_is_one_line():
    assert refuse(*ARGUMENTS, "--tolerance-um", -1) == (
        "truth.tif: a tolerance of -1.0 µm, wanted 0 or more: correct it"
    )
    write("map.tif", 37, NAMES[::-1])
    assert refuse(*ARGUMENTS) == (
        "map.tif: classes are gland, stroma, those of truth.tif are stroma, gland: make both with one label map"
    )
