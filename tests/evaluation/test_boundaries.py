from math import nan

import numpy as np
import pytest

from hooknet.coordinates import RasterGrid, Spacing
from hooknet.errors import MaskError
from hooknet.evaluation import slides as slides_module
from hooknet.evaluation.boundaries import (
    boundary_slides,
    boundary_table,
    measure_boundaries,
    read_boundaries,
    write_boundaries,
)
from hooknet.evaluation.system import Measured
from hooknet.io.masks import Mask, create_mask
from hooknet.metrics.boundaries import BoundaryScore, elements, score_boundary

NAMES = ("stroma", "gland")


def write(path, labels, *, spacing=0.5, slide=0.25, names=NAMES):
    """A mask over a slide whose level-0 px have ``slide`` µm."""
    height, width = labels.shape
    size = round(width * spacing / slide), round(height * spacing / slide)
    grid = RasterGrid.over(size, Spacing(slide, slide), spacing)
    with create_mask(path, grid, names, {value: (value, 0, 0) for value in (1, 2)}) as mask:
        mask.write(0, 0, labels)
    return Mask.open(path)


def blobs(seed, height=83, width=61):
    """Both classes and regions without annotation, in blots of 5 px."""
    coarse = np.random.default_rng(seed).integers(0, 3, (-(-height // 5), -(-width // 5)), np.uint8)
    return np.kron(coarse, np.ones((5, 5), np.uint8))[:height, :width]


def whole(truth, prediction, spacing, tolerance):
    """The scores of two arrays, taken at once."""
    truth, prediction = (np.pad(one, ((0, 1), (0, 1))) for one in (truth, prediction))
    return tuple(
        score_boundary(
            *(elements(one, truth != 0, value) for one in (truth, prediction)),
            spacing,
            tolerance,
            int((truth == value).sum()),
        )
        for value in (1, 2)
    )


@pytest.mark.parametrize("block", [1, 7, 20, 1024])
def test_a_slide_measured_in_blocks_equals_the_arrays_measured_at_once(tmp_path, monkeypatch, block):
    monkeypatch.setattr(slides_module, "BLOCK", block)
    truth, prediction = blobs(1, 33, 26), blobs(2, 33, 26)
    with write(tmp_path / "t.tif", truth) as one, write(tmp_path / "p.tif", prediction) as other:
        assert measure_boundaries(one, other, 2, 1.0) == whole(truth, prediction, 0.5, 1.0)


def test_blocks_of_tiles_that_are_not_stored_lose_nothing(tmp_path, monkeypatch):
    # The boundary lies where a stored tile of 512 px meets one that is not read.
    monkeypatch.setattr(slides_module, "BLOCK", 512)
    truth = np.zeros((600, 1300), np.uint8)
    truth[:, 500:520] = 1
    truth[200:300, 510:1300] = 2
    prediction = np.roll(truth, 3, axis=1)
    with write(tmp_path / "t.tif", truth) as one, write(tmp_path / "p.tif", prediction) as other:
        seen = measure_boundaries(one, other, 2, 1.0)
    assert seen == whole(truth, prediction, 0.5, 1.0)
    assert seen[0].truth_elements == 100 + 2 * 10  # to the right of column 509, above and below


def test_blocks_without_annotation_do_not_read_the_map(tmp_path, monkeypatch):
    monkeypatch.setattr(slides_module, "BLOCK", 512)
    truth = np.zeros((1030, 1030), np.uint8)
    truth[600:610, 600:610] = 1
    windows = []
    read_as = Mask.read_as
    monkeypatch.setattr(Mask, "read_as", lambda self, *a: (windows.append(a[1:]), read_as(self, *a))[1])
    with write(tmp_path / "t.tif", truth) as one, write(tmp_path / "p.tif", truth) as other:
        assert measure_boundaries(one, other, 2, 1.0)[0].truth_pixels == 100
    # The first and the last tile of a mask are always stored.
    assert windows == [(0, 0, 513, 513), (512, 512, 513, 513), (1024, 1024, 7, 7)]


def test_a_coarser_map_is_measured_on_the_grid_of_the_truth(tmp_path):
    truth = np.ones((8, 16), np.uint8)
    truth[:, 9:] = 2
    coarse = np.ones((2, 4), np.uint8)
    coarse[:, 2:] = 2
    with (
        write(tmp_path / "t.tif", truth) as one,
        write(tmp_path / "p.tif", coarse, spacing=2.0) as other,
    ):
        stroma, gland = measure_boundaries(one, other, 2, 0.5)
    assert stroma == BoundaryScore(0.5, 72, 8, 8, 8, 8, 0.5)
    assert gland.truth_pixels == 56


def test_what_does_not_fit_is_refused(tmp_path):
    ones = np.ones((8, 8), np.uint8)
    truth = write(tmp_path / "t.tif", ones)
    with pytest.raises(MaskError, match=r"p\.tif: classes are gland, stroma, those of"):
        measure_boundaries(truth, write(tmp_path / "p.tif", ones, names=NAMES[::-1]), 2, 5.0)
    with pytest.raises(MaskError, match=r"q\.tif does not fit: .*different slides"):
        measure_boundaries(truth, write(tmp_path / "q.tif", np.ones((8, 12), np.uint8)), 2, 5.0)
    for tolerance in (-1.0, nan, float("inf")):
        with pytest.raises(MaskError, match=r"t\.tif: a tolerance of .* µm, wanted 0 or more"):
            measure_boundaries(truth, truth, 2, tolerance)


SCORES = {
    "a": (BoundaryScore(5.0, 900, 40, 50, 30, 35, 1 / 3), BoundaryScore(5.0, 0, 0, 7, 0, 0, nan)),
    'odd, "name" µ': (BoundaryScore(5.0, 2**53 + 1, 4, 0, 0, 0, nan), BoundaryScore(5.0, 9, 4, 4, 4, 4, 0.0)),
}


def test_scores_come_back_from_their_file_as_they_went(tmp_path):
    path = tmp_path / "boundaries.csv"
    write_boundaries(path, SCORES, NAMES)
    assert repr(read_boundaries(path, NAMES)) == repr(SCORES)  # nan is not itself
    assert path.read_text().splitlines()[:3] == [
        "slide,class,tolerance_um,truth_pixels,truth_elements,prediction_elements,truth_within,prediction_within,"
        "surface_dice,hd95_um,note",
        "a,stroma,5.0,900,40,50,30,35,0.7222222222222222,0.3333333333333333,",
        "a,gland,5.0,0,0,7,0,0,nan,nan,no truth of this class",
    ]


def test_a_tolerance_in_whole_micrometres_comes_back(tmp_path):
    path = tmp_path / "boundaries.csv"
    write_boundaries(path, {"a": [BoundaryScore(5, 9, 4, 4, 4, 4, 0.0)]}, NAMES[:1])
    assert read_boundaries(path, NAMES[:1])["a"][0].tolerance_um == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: text.index("a,gland")], "slide a has 1 rows, wanted 2: the file was cut short"),
        (lambda text: text.replace("gland", "fat"), "line 3 is of 'fat', wanted stroma, gland in turn"),
        (lambda text: text + "a,gland" + ",0" * 8 + ",\n", "line 4 is of 'gland', wanted"),
        (
            lambda text: text.replace(",40,", ",41,"),
            "line 2 does not agree with itself, it was changed by hand",
        ),
        (lambda text: text.replace(",40,", ",4x,"), "line 2 has cells that are no numbers"),
        (lambda text: text.replace(",35,", ","), "line 2 has 10 cells, wanted 11: measure again"),
        (lambda text: text.replace("slide,", "slides,"), "starts with"),
        (lambda text: "", "starts with nothing"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, change, message):
    path = tmp_path / "boundaries.csv"
    write_boundaries(path, {"a": SCORES["a"]}, NAMES)
    path.write_text(change(path.read_text()))
    with pytest.raises(MaskError, match=message):
        read_boundaries(path, NAMES)


def test_systems_are_summed_up_over_the_slides_that_have_the_boundary():
    def stroma(within, hd95):
        return BoundaryScore(5.0, 9, 10, 10, within, within, hd95)

    absent = BoundaryScore(5.0, 0, 0, 3, 0, 0, nan)
    missed = BoundaryScore(5.0, 9, 10, 0, 0, 0, nan)
    slides = {
        "a": (stroma(10, 1.0), absent),
        "b": (stroma(4, 7.0), absent),
        "c": (missed, absent),
        "d": (stroma(6, 2.0), absent),
    }
    table = boundary_table([Measured("one #2", "one", 2, slides), Measured("none", "none", None, {})], NAMES)
    row = table.iloc[0]
    assert (row["system"], row["experiment"], row["seed"], row["class"]) == ("one #2", "one", 2, "stroma")
    assert (row["tolerance_um"], row["slides"], row["hd95_slides"]) == (5, 4, 3)
    assert row["surface_dice_mean"] == pytest.approx((1 + 0.4 + 0 + 0.6) / 4)
    assert row["surface_dice_median"] == pytest.approx(0.5)
    assert row["hd95_um_median"] == 2
    assert table["slides"].tolist() == [4, 0, 0, 0]
    assert table.loc[1:, ["surface_dice_mean", "surface_dice_median", "hd95_um_median"]].isna().all(axis=None)


def test_slides_are_told_one_by_one_with_the_mean_of_the_classes_that_have_a_boundary():
    missed = BoundaryScore(5.0, 9, 10, 0, 0, 0, nan)
    absent = BoundaryScore(5.0, 0, 0, 3, 0, 0, nan)
    one, other = BoundaryScore(5.0, 9, 10, 10, 8, 8, 2.0), BoundaryScore(5.0, 9, 10, 10, 4, 4, 7.0)
    slides = {"a": (one, other), "b": (one, absent), "c": (one, missed), "d": (absent, absent)}
    table = boundary_slides([Measured("one #2", "one", 2, slides)], NAMES)
    assert table["slide"].tolist() == [slide for slide in "abcd" for _ in range(3)]
    assert table["class"].tolist() == ["stroma", "gland", "macro"] * 4
    macro = table[table["class"] == "macro"].set_index("slide")
    assert macro["surface_dice"].tolist() == pytest.approx([0.6, 0.8, 0.4, nan], nan_ok=True)
    assert macro["hd95_um"].tolist() == pytest.approx([4.5, 2.0, nan, nan], nan_ok=True)
    assert macro["note"].tolist() == [
        "", "", "no boundary in the prediction: HD95 is undefined", "no boundary in the truth"
    ]  # fmt: skip


def test_scores_at_several_tolerances_are_not_summed_up():
    slides = {"a": SCORES["a"], "b": (BoundaryScore(2.0, 9, 4, 4, 4, 4, 0.0),) * 2}
    with pytest.raises(MaskError, match="measured at tolerances of 2, 5 µm, wanted one"):
        boundary_table([Measured("one", "one", None, slides)], NAMES)
