from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest

from hooknet.coordinates import RasterGrid, Spacing
from hooknet.errors import MaskError
from hooknet.evaluation.system import Measured
from hooknet.evaluation.volumes import (
    SliceFiles,
    measure_volume,
    read_volumes,
    volume_scores,
    volume_table,
    write_volumes,
)
from hooknet.io.masks import create_mask
from hooknet.metrics.volumes import VolumeScore, score_volume

NAMES = ("rest", "heart")
THICKNESS = 8.0


def write(path, labels, *, spacing=1500.0, slide=750.0, names=NAMES):
    """A mask over a slice whose level-0 px have ``slide`` µm."""
    height, width = labels.shape
    grid = RasterGrid.over(
        (round(width * spacing / slide), round(height * spacing / slide)), Spacing(slide, slide), spacing
    )
    path.parent.mkdir(exist_ok=True)
    with create_mask(path, grid, names, {value: (value, 0, 0) for value in (1, 2)}) as mask:
        mask.write(0, 0, labels)


def write_slices(folder, truth, prediction, first=0):
    """The files of a volume of two arrays (z, y, x)."""
    slices = []
    for place, (labels, predicted) in enumerate(zip(truth, prediction, strict=True)):
        one = SliceFiles(first + place, folder / "truth" / f"{place}.tif", folder / "maps" / f"{place}.tif")
        write(one.truth, labels)
        write(one.prediction, predicted)
        slices.append(one)
    return slices


def blobs(seed, shape=(4, 20, 24)):
    """Both classes and places without annotation, in blots of 4 px."""
    coarse = np.random.default_rng(seed).integers(0, 3, (shape[0], shape[1] // 4, shape[2] // 4), np.uint8)
    return np.kron(coarse, np.ones((1, 4, 4), np.uint8))


@pytest.mark.parametrize("first", [0, 7])
def test_a_volume_is_its_slices_in_the_order_of_their_positions(tmp_path, first):
    truth, prediction = blobs(1), blobs(2)
    slices = write_slices(tmp_path, truth, prediction, first)
    wanted = tuple(score_volume(truth, prediction, value, (1.5, 1.5, THICKNESS)) for value in (1, 2))
    assert wanted[1].hd95_mm > 0
    assert measure_volume(slices, THICKNESS, NAMES) == wanted
    assert measure_volume(slices[::-1], THICKNESS, NAMES) == wanted


def test_the_distance_from_slice_to_slice_is_the_thickness(tmp_path):
    truth = np.ones((6, 8, 8), np.uint8)
    truth[:2] = 2
    prediction = np.ones_like(truth)
    prediction[:5] = 2
    _, heart = measure_volume(write_slices(tmp_path, truth, prediction), THICKNESS, NAMES)
    assert (heart.tp, heart.fp, heart.fn, heart.hd95_mm) == (128, 192, 0, 24.0)
    assert heart.size_mm == (1.5, 1.5, 8.0)


def test_coarser_maps_are_measured_on_the_grid_of_the_truth(tmp_path):
    truth = np.ones((2, 8, 8), np.uint8)
    truth[:, :, 5:] = 2
    slices = write_slices(tmp_path, truth, truth)
    coarse = np.ones((4, 4), np.uint8)
    coarse[:, 2:] = 2
    for one in slices:
        write(one.prediction, coarse, spacing=3000.0)
    _, heart = measure_volume(slices, THICKNESS, NAMES)
    assert (heart.tp, heart.fp, heart.fn, heart.hd95_mm) == (48, 16, 0, 1.5)


def test_slices_that_are_no_volume_are_refused(tmp_path):
    slices = write_slices(tmp_path, blobs(1), blobs(2), 3)
    with pytest.raises(MaskError, match="a volume has no slices, wanted at least one"):
        measure_volume([], THICKNESS, NAMES)
    with pytest.raises(
        MaskError, match=r"2\.tif has position 5 and the slice before it 3, wanted 4: add the slices between"
    ):
        measure_volume([slices[0], slices[3], slices[2]], THICKNESS, NAMES)
    with pytest.raises(MaskError, match=r"0\.tif and .*1\.tif both have position 3: give each its own"):
        measure_volume([slices[0], replace(slices[1], position=3)], THICKNESS, NAMES)


@pytest.mark.parametrize(
    ("shape", "changes", "message"),
    [
        ((20, 20), {}, r"1\.tif: has 20 x 20 px of 1500 µm, wanted 24 x 20 px of 1500 µm as .*0\.tif: slices of one"),
        ((20, 24), {"spacing": 1400.0, "slide": 700.0}, r"1\.tif: has 24 x 20 px of 1400 µm, wanted 24 x 20 px of"),
        ((20, 24), {"names": NAMES[::-1]}, r"1\.tif: classes are heart, rest, wanted rest, heart: make it again"),
    ],
)  # fmt: skip
def test_slices_that_do_not_fit_each_other_are_refused(tmp_path, shape, changes, message):
    slices = write_slices(tmp_path, blobs(1), blobs(2))
    for path in (slices[1].truth, slices[1].prediction):
        write(path, np.ones(shape, np.uint8), **changes)
    with pytest.raises(MaskError, match=message):
        measure_volume(slices, THICKNESS, NAMES)


def test_a_map_of_another_slice_is_refused(tmp_path):
    slices = write_slices(tmp_path, blobs(1), blobs(2))
    write(slices[2].prediction, np.ones((20, 40), np.uint8))
    with pytest.raises(MaskError, match=r"maps/2\.tif does not fit: .*different slides"):
        measure_volume(slices, THICKNESS, NAMES)
    slices[2].prediction.unlink()
    with pytest.raises(MaskError, match=r"maps/2\.tif: no such file"):
        measure_volume(slices, THICKNESS, NAMES)


SIZE = (1.5, 1.5, 8.0)
MET = VolumeScore(30, 10, 20, SIZE, 12, 11, 1 / 3)
ABSENT = VolumeScore(0, 7, 0, SIZE, 0, 4, nan)
MISSED = VolumeScore(0, 0, 9, SIZE, 9, 0, nan)
SCORES = {"p1": (MET, ABSENT), 'odd, "name" µ': (MET, MISSED)}


def test_scores_come_back_from_their_file_as_they_went(tmp_path):
    path = tmp_path / "volumes.csv"
    write_volumes(path, SCORES, NAMES)
    assert repr(read_volumes(path, NAMES)) == repr(SCORES)  # nan is not itself
    assert path.read_text().splitlines()[:3] == [
        "volume,class,x_mm,y_mm,z_mm,tp,fp,fn,truth_surface,prediction_surface,dice,iou,precision,recall,hd95_mm,note",
        "p1,rest,1.5,1.5,8.0,30,10,20,12,11,0.6666666666666666,0.5,0.75,0.6,0.3333333333333333,",
        "p1,heart,1.5,1.5,8.0,0,7,0,0,4,nan,nan,nan,nan,nan,no truth of this class",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: text.index("p1,heart")], "volume p1 has 1 rows, wanted 2: the file was cut short"),
        (lambda text: text.replace("heart", "lung"), "line 3 is of 'lung', wanted rest, heart in turn"),
        (lambda text: text + "p1,heart" + ",0" * 13 + ",\n", "line 4 is of 'heart', wanted"),
        (lambda text: text.replace(",30,", ",31,"), "line 2 does not agree with itself, it was changed by hand"),
        (lambda text: text.replace(",30,", ",3x,"), "line 2 has cells that are no numbers"),
        (lambda text: text.replace(",12,", ","), "line 2 has 15 cells, wanted 16: measure again"),
        (lambda text: "", "starts with nothing"),
    ],
)  # fmt: skip
def test_a_damaged_table_is_refused(tmp_path, change, message):
    path = tmp_path / "volumes.csv"
    write_volumes(path, {"p1": SCORES["p1"]}, NAMES)
    path.write_text(change(path.read_text()))
    with pytest.raises(MaskError, match=message):
        read_volumes(path, NAMES)


def whole(dice, hd95):
    """A class with as many voxels too many as too few."""
    right = round(100 * dice)
    return VolumeScore(right, 100 - right, 100 - right, SIZE, 50, 50, hd95)


def test_the_mean_of_a_volume_is_over_the_classes_that_it_has():
    volumes = {"a": (whole(0.8, 2.0), whole(0.6, 4.0)), "b": (whole(0.7, 3.0), ABSENT), "c": (MET, MISSED)}
    table = volume_scores([Measured("one #2", "one", 2, volumes)], NAMES)
    assert table.columns[:5].tolist() == ["system", "experiment", "seed", "volume", "class"]
    assert table["class"].tolist() == ["rest", "heart", "macro"] * 3
    macro = table[table["class"] == "macro"].set_index("volume")
    assert macro["dice"].tolist() == pytest.approx([0.7, 0.7, 1 / 3])
    assert macro["hd95_mm"].tolist() == pytest.approx([3.0, 3.0, nan], nan_ok=True)
    assert macro["precision"].tolist() == pytest.approx([0.7, 0.7, nan], nan_ok=True)
    assert macro["unpredicted"].tolist() == [False, False, True]
    assert macro["note"].tolist() == ["", "", "not predicted: precision and HD95 are undefined"]
    assert table[table["volume"] == "b"]["present"].tolist() == [True, False, True]


def test_background_is_in_no_mean_of_classes():
    names = ("background", "rv", "lv")
    volumes = {"a": (whole(0.99, 1.0), whole(0.6, 4.0), whole(0.8, 2.0))}
    table = volume_table(volume_scores([Measured("one", "one", None, volumes)], names), names)
    assert table["dice_mean"].tolist() == pytest.approx([0.99, 0.6, 0.8, 0.7])
    assert table["hd95_mm_mean"].tolist() == pytest.approx([1, 4, 2, 3])


def test_a_volume_without_any_truth_is_in_no_mean():
    table = volume_scores([Measured("one", "one", None, {"a": (ABSENT, ABSENT)})], NAMES)
    assert table["present"].tolist() == [False] * 3
    assert table["note"].tolist() == ["no truth of this class"] * 2 + ["no truth of any class"]
    summed = volume_table(table, NAMES)
    assert summed["n"].tolist() == [0, 0, 0]
    assert summed["dice_mean"].isna().all()


def test_systems_are_summed_up_over_the_volumes_that_have_the_class():
    volumes = {
        "a": (whole(0.8, 2.0), whole(0.5, 6.0)),
        "b": (whole(0.7, 3.0), ABSENT),
        "c": (whole(0.6, 7.0), MISSED),
    }
    systems = [
        Measured("one #2", "one", 2, volumes),
        Measured("other", "other", None, {"a": (whole(0.9, 1.0), whole(0.9, 2.0))}),
    ]
    table = volume_table(volume_scores(systems, NAMES), NAMES)
    assert [tuple(row) for row in table[["system", "class", "n", "hd95_n", "unpredicted"]].to_numpy()] == [
        ("one #2", "rest", 3, 3, 0), ("one #2", "heart", 2, 1, 1), ("one #2", "macro", 3, 2, 1),
        ("other", "rest", 1, 1, 0), ("other", "heart", 1, 1, 0), ("other", "macro", 1, 1, 0),
    ]  # fmt: skip
    rest, heart, macro = (table.iloc[row] for row in range(3))
    assert (rest["experiment"], rest["seed"]) == ("one", 2)
    assert (rest["dice_mean"], rest["dice_sd"]) == (pytest.approx(0.7), pytest.approx(0.1))
    assert (rest["hd95_mm_mean"], rest["hd95_mm_sd"]) == (4, pytest.approx(np.sqrt(7)))
    assert rest["iou_mean"] == pytest.approx((80 / 120 + 70 / 130 + 60 / 140) / 3)
    # Missed in one of two: Dice and recall 0 there, no mean precision, HD95 of the other.
    assert (heart["dice_mean"], heart["recall_mean"], heart["hd95_mm_mean"]) == (0.25, 0.25, 6)
    assert isnan(heart["precision_mean"])
    assert isnan(heart["hd95_mm_sd"])
    assert macro["dice_mean"] == pytest.approx((0.65 + 0.7 + 0.3) / 3)
    assert macro["hd95_mm_mean"] == pytest.approx((4 + 3) / 2)
    assert table.iloc[3:]["dice_sd"].isna().all()


def test_nothing_measured_is_an_empty_table():
    scores = volume_scores([Measured("one", "one", None, {})], NAMES)
    assert scores.empty
    assert volume_table(scores, NAMES).empty
