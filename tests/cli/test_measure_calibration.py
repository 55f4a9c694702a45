import csv
import json

import numpy as np
import pytest
import tifffile
from made_cohort import hooknet, refuse

from hooknet.coordinates import RasterGrid
from hooknet.io.masks import create_mask
from hooknet.io.probabilities import create_probabilities

NAMES = ("stroma", "gland")
GRID = RasterGrid(60, 40, 0.5, 2.0, 2.0)
ARGUMENTS = (
    "measure-calibration", "--slide", "c", "--truth", "truth.tif", "--probabilities", "shares.tif",
    "--output", "out/calibration.csv",
)  # fmt: skip


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = np.ones((40, 60), np.uint8)
    labels[:10] = 0
    labels[:, 40:] = 2
    with create_mask("truth.tif", GRID, NAMES, {1: (1, 0, 0), 2: (2, 0, 0)}) as mask:
        mask.write(0, 0, labels)
    with create_probabilities("shares.tif", GRID, NAMES) as writer:
        writer.write(0, 0, np.broadcast_to(np.array([204, 51], np.uint8)[:, None, None], (2, 40, 50)))


def test_pixels_are_counted_by_probability():
    assert hooknet(*ARGUMENTS).status == 0
    with open("out/calibration.csv", newline="") as file:
        found = [tuple(row.values()) for row in csv.DictReader(file) if row["pixels"] != "0"]
    # Annotated: 30 rows of 40 columns of stroma and, above them too, 40 rows of 20 columns of gland, half predicted.
    assert found == [
        ("c", "(top)", "204", "1600", "1200"),
        ("c", "stroma", "204", "1600", "1200"),
        ("c", "gland", "51", "1600", "400"),
        ("c", "(none)", "0", "400", "0"),
    ]


def test_probabilities_of_an_older_version_are_one_line():
    told = {"format": "hooknet probabilities 1", "spacing": 0.5, "classes": NAMES}
    tifffile.imwrite(
        "shares.tif",
        np.zeros((2, 40, 60), np.uint8),
        photometric="minisblack",
        planarconfig="separate",
        description=json.dumps(told),
        metadata=None,
    )
    assert refuse(*ARGUMENTS) == (
        "shares.tif: does not say its step, so where it lies on the slide; it was written by an older version,"
        " infer again"
    )


def test_a_mask_is_no_file_of_probabilities():
    arguments = list(ARGUMENTS)
    arguments[arguments.index("shares.tif")] = "truth.tif"
    assert refuse(*arguments).startswith(
        "truth.tif: the image description does not say 'hooknet probabilities 1' with a class per band of uint8;"
    )
