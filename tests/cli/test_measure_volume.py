import csv
from pathlib import Path

import made_config
import numpy as np
import pytest
from made_cohort import FILES, hooknet, refuse

from hooknet.coordinates import RasterGrid
from hooknet.io.masks import create_mask

NAMES = ("stroma", "gland")
FOLDER, MAPS = Path("results/slides/colon"), Path("results/runs/unet/maps")
ARGUMENTS = (
    "measure-volume", "--dataset", "colon", "--volume", "p1", "--slides-folder", FOLDER, "--maps-folder", MAPS,
    "--output", "out/p1.csv", *FILES,
)  # fmt: skip


def write(path, depth, names=NAMES):
    """A mask of 1.5 mm px: stroma in the first rows, gland below."""
    labels = np.full((20, 30), 2, np.uint8)
    labels[:depth] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    with create_mask(path, RasterGrid(30, 20, 1500.0, 1.0, 1.0), names, {1: (1, 0, 0), 2: (2, 0, 0)}) as mask:
        mask.write(0, 0, labels)


def configure(*without_truth, positions=(4, 2, 3)):
    """Slices a, b, c of volume p1, listed out of order; and one of another volume."""
    place = {"patient": "x", "split": "test", "thickness": 8.0}
    rows = [{"id": "z", "slide": "z.slice.tif", "volume": "p0", "position": 0, "annotation": "-", **place}]
    for name, position in zip("cab", positions, strict=True):
        row = {"id": name, "slide": f"{name}.slice.tif", "volume": "p1", "position": position, **place}
        rows.append(
            {**row, "annotation": f"{name}.png", "truth": "-" if name in without_truth else f"{name}.png"}
        )
    made_config.write(
        Path(),
        {"colon": made_config.dataset(slides=rows)},
        {"unet": made_config.experiment(checkpoint="w.ckpt")},
    )


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configure()
    for name, depth in zip("abc", (5, 8, 11), strict=True):
        write(FOLDER / name / "truth.tif", depth)
        write(FOLDER / name / "labels.tif", depth + 1)
        write(MAPS / f"{name}.tif", depth + 1)


def rows():
    with open("out/p1.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_scores_of_every_class_are_written():
    assert hooknet(*ARGUMENTS).status == 0
    stroma, gland = rows()
    assert [(row["volume"], row["class"], row["note"]) for row in rows()] == [
        ("p1", "stroma", ""),
        ("p1", "gland", ""),
    ]
    # 24 rows of 30 px are true in the three slices, 27 are predicted: one more in each.
    assert (stroma["tp"], stroma["fp"], stroma["fn"]) == (str(24 * 30), str(3 * 30), "0")
    assert float(stroma["dice"]) == 48 / 51
    assert (gland["fp"], gland["fn"]) == ("0", "90")
    assert (stroma["x_mm"], stroma["y_mm"], stroma["z_mm"], stroma["hd95_mm"]) == ("1.5", "1.5", "8.0", "1.5")


def test_annotations_count_where_a_slice_has_no_dense_truth():
    configure("b")
    assert hooknet(*ARGUMENTS).status == 0
    assert [(row["fp"], row["fn"], row["hd95_mm"]) for row in rows()] == [("0", "0", "0.0")] * 2


def test_bad_input_is_one_line():
    assert refuse(*ARGUMENTS[:4], "p2", *ARGUMENTS[5:]) == "no volume 'p2'; possible: p0, p1"
    assert refuse(*ARGUMENTS[:4], "p0", *ARGUMENTS[5:]) == (
        "volume 'p0' has slices without annotation or truth, wanted one of the two for all of them"
    )
    configure(positions=(5, 2, 3))
    assert refuse(*ARGUMENTS) == (
        f"{FOLDER}/c/truth.tif has position 5 and the slice before it 3, wanted 4: add the slices between them"
    )
    configure()
    write(MAPS / "b.tif", 3, NAMES[::-1])
    assert refuse(*ARGUMENTS) == (
        f"{MAPS}/b.tif: classes are gland, stroma, those of {FOLDER}/b/truth.tif are stroma, gland: "
        "make both with one label map"
    )
    (MAPS / "a.tif").unlink()
    assert refuse(*ARGUMENTS).startswith(f"{MAPS}/a.tif: no such file")
