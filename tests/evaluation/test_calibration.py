import numpy as np
import pytest

from hooknet.coordinates import RasterGrid, Spacing
from hooknet.errors import MaskError
from hooknet.evaluation import slides as slides_module
from hooknet.evaluation.calibration import (
    calibration_tables,
    measure_calibration,
    read_calibration,
    risk_tables,
    write_calibration,
)
from hooknet.evaluation.system import Measured
from hooknet.io.masks import Mask, create_mask
from hooknet.io.probabilities import Probabilities, create_probabilities
from hooknet.metrics.calibration import CalibrationCounts, count_levels, ece, merge_levels

NAMES = ("stroma", "gland")


def over(shape, spacing, slide=0.25):
    height, width = shape
    size = round(width * spacing / slide), round(height * spacing / slide)
    return RasterGrid.over(size, Spacing(slide, slide), spacing)


def write_truth(path, labels, *, spacing=0.5):
    with create_mask(path, over(labels.shape, spacing), NAMES, {1: (1, 0, 0), 2: (2, 0, 0)}) as mask:
        mask.write(0, 0, labels)
    return Mask.open(path)


def write_shares(path, shares, *, spacing=0.5, slide=0.25, names=NAMES):
    with create_probabilities(path, over(shares.shape[1:], spacing, slide), names) as writer:
        writer.write(0, 0, shares)
    return Probabilities.open(path)


def made(seed=3, shape=(83, 61)):
    """Truth with regions that are not annotated, and probabilities with px that are not predicted."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, shape, np.uint8)
    first = rng.integers(0, 256, shape, np.uint8)
    return truth, np.stack([first, 255 - first]) * (rng.random(shape) < 0.9).astype(np.uint8)


def equal(one, other):
    return (
        np.array_equal(one.pixels, other.pixels)
        and np.array_equal(one.right, other.right)
        and one.unpredicted == other.unpredicted
    )


@pytest.mark.parametrize("block", [13, 1024])
def test_a_slide_counted_in_blocks_equals_the_arrays_counted_at_once(tmp_path, monkeypatch, block):
    monkeypatch.setattr(slides_module, "BLOCK", block)
    truth, shares = made()
    with write_truth(tmp_path / "t.tif", truth) as one, write_shares(tmp_path / "p.tif", shares) as other:
        seen = measure_calibration(one, other, 2)
    assert equal(seen, count_levels(truth, shares))
    assert seen.unpredicted == np.count_nonzero((truth > 0) & ~shares.any(axis=0)) > 0


def test_coarser_probabilities_are_sampled_under_each_truth_pixel(tmp_path):
    truth, _ = made(shape=(8, 12))
    _, coarse = made(shape=(2, 3))
    with (
        write_truth(tmp_path / "t.tif", truth) as one,
        write_shares(tmp_path / "p.tif", coarse, spacing=2.0) as other,
    ):
        seen = measure_calibration(one, other, 2)
    assert equal(seen, count_levels(truth, np.kron(coarse, np.ones((1, 4, 4), np.uint8))))


def test_what_does_not_fit_is_refused(tmp_path):
    truth, shares = made(shape=(8, 8))
    labels = write_truth(tmp_path / "t.tif", truth)
    with pytest.raises(MaskError, match=r"p\.tif: classes are gland, stroma, those of .*t\.tif are stroma"):
        measure_calibration(labels, write_shares(tmp_path / "p.tif", shares, names=NAMES[::-1]), 2)
    with pytest.raises(MaskError, match=r"q\.tif does not fit: .*different slides"):
        measure_calibration(labels, write_shares(tmp_path / "q.tif", shares[:, :4]), 2)
    other = write_shares(tmp_path / "r.tif", shares, spacing=1.0, slide=0.5)
    with pytest.raises(MaskError, match=r"r\.tif: takes a level-0 px of the slide for 0\.5 x 0\.5 µm"):
        measure_calibration(labels, other, 2)


def test_counts_come_back_from_their_file_as_they_went(tmp_path):
    path = tmp_path / "calibration.csv"
    large = CalibrationCounts(*(np.full((3, 256), 2**53 + 1, np.int64),) * 2, 2**60 + 1)
    counts = {"a": count_levels(*made()), 'odd, "name" µ': large}
    write_calibration(path, counts, NAMES)
    found = read_calibration(path, NAMES)
    assert list(found) == list(counts)
    assert all(equal(found[slide], one) for slide, one in counts.items())


def test_the_file_is_tidy_and_names_its_classes(tmp_path):
    path = tmp_path / "calibration.csv"
    write_calibration(path, {"a": count_levels(*made())}, NAMES)
    lines = path.read_text().splitlines()
    assert lines[0] == "slide,class,level,pixels,right"
    assert len(lines) == 1 + 3 * 256 + 1
    assert [line.rsplit(",", 2)[0] for line in lines[1::256]] == [
        "a,(top),0",
        "a,stroma,0",
        "a,gland,0",
        "a,(none),0",
    ]


def without_line(number):
    return lambda lines: lines[: number - 1] + lines[number:]


def with_line(number, text):
    return lambda lines: [*lines[: number - 1], text, *lines[number:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_line(770), "slide a has 768 rows, wanted 769: the file was cut short"),
        (without_line(5), r"line 5 counts '\(top\)' at level '4', wanted \(top\) at level 3 of slide a"),
        (lambda lines: [*lines, lines[-1]], r"line 771 counts '\(none\)' at level '0', wanted no more rows"),
        (with_line(2, "a,(top),0,3,4"), "line 2 has '4' of '3' pixels right"),
        (with_line(2, "a,(top),0,3.0,1"), r"line 2 has '1' of '3\.0' pixels right"),
        (with_line(2, "a,(top),0,3"), "line 2 has 4 cells, wanted 5: measure again"),
        (with_line(258, "a,fat,0,0,0"), "line 258 counts 'fat' at level '0', wanted stroma at level 0"),
        (lambda lines: [], "starts with nothing"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, change, message):
    path = tmp_path / "calibration.csv"
    write_calibration(path, {"a": count_levels(*made())}, NAMES)
    path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))
    with pytest.raises(MaskError, match=message):
        read_calibration(path, NAMES)


def test_counts_of_another_number_of_classes_leave_no_file(tmp_path):
    with pytest.raises(MaskError, match="slide a has counts of 2 classes, wanted 3"):
        write_calibration(tmp_path / "c.csv", {"a": count_levels(*made())}, (*NAMES, "fat"))
    assert not list(tmp_path.iterdir())


def test_a_system_is_judged_on_the_pixels_of_all_its_slides():
    slides = {name: count_levels(*made(seed)) for seed, name in enumerate("ab")}
    merged = merge_levels(slides.values(), 2)
    table, diagram = calibration_tables([Measured("one #2", "one", 2, slides)], NAMES)
    assert table["class"].tolist() == ["(top)", "stroma", "gland"]
    assert table[["system", "experiment", "seed"]].drop_duplicates().values.tolist() == [["one #2", "one", 2]]
    wanted = [ece(*row) for row in zip(merged.pixels, merged.right, strict=True)]
    assert table["ece"].tolist() == wanted
    assert table["pixels"].tolist() == [merged.pixels[0].sum()] * 3
    assert table["unpredicted"].tolist() == [sum(one.unpredicted for one in slides.values())] * 3
    assert (
        diagram.groupby("class", sort=False)["pixels"].agg(["size", "sum"]).values.tolist()
        == [[15, merged.pixels[0].sum()]] * 3
    )
    rows = diagram[diagram["class"] == "gland"]
    gap = (rows["accuracy"] - rows["confidence"]).abs()
    assert (gap * rows["pixels"]).sum() / rows["pixels"].sum() == pytest.approx(wanted[2])
    assert rows["bin"].tolist() == list(range(15))
    assert (rows["confidence"].between(rows["low"], rows["high"])).all()


def test_a_class_without_truth_has_no_error_however_small_it_would_be():
    truth = np.ones((4, 4), np.uint8)
    shares = np.stack([np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8)])
    slides = {"a": count_levels(truth, shares)}
    table, _ = calibration_tables(
        [Measured("one", "one", None, slides), Measured("idle", "idle", None, {})], NAMES
    )
    assert table["ece"].tolist()[:2] == [0, 0]
    assert table["ece"][2:].isna().all()
    assert table["pixels"].tolist() == [16, 16, 16, 0, 0, 0]


def test_how_wrong_a_system_is_where_it_is_least_sure_is_of_the_pixels_of_all_its_slides():
    truth = np.full((10, 10), 1, np.uint8)
    first = np.full((10, 10), 250, np.uint8)
    first[0] = [130, 120] * 5  # the least sure tenth, half of it wrong
    first[1, :9] = 40  # sure, and wrong
    one = count_levels(truth, np.stack([first, 255 - first]))
    sure = count_levels(truth, np.stack([np.full((10, 10), 250, np.uint8), np.full((10, 10), 5, np.uint8)]))
    table, curves = risk_tables(
        [Measured("one #2", "one", 2, {"a": one, "b": one}), Measured("sure", "sure", None, {"a": sure})],
        NAMES,
    )
    assert table[["system", "experiment"]].values.tolist() == [["one #2", "one"], ["sure", "sure"]]
    assert table["pixels"].tolist() == [200, 100]
    assert table["error"].tolist() == pytest.approx([0.14, 0])
    assert table["error_least_sure"].tolist() == pytest.approx([0.5, 0])
    assert table["error_others"].tolist() == pytest.approx([0.1, 0])
    # 130 and 255 - 120 are two levels, then 255 - 40, then 250.
    mine = curves[curves["system"] == "one #2"]
    assert mine["level"].tolist() == [130, 135, 215, 250]
    assert mine["kept"].tolist() == pytest.approx([1, 0.95, 0.9, 0.81])
    assert mine["error"].tolist() == pytest.approx([0.14, 14 / 95, 0.1, 0])


def test_a_system_without_slides_has_no_errors_and_no_curve():
    table, curves = risk_tables([Measured("idle", "idle", None, {})], NAMES)
    assert table[["error", "error_least_sure", "error_others"]].isna().all(axis=None)
    assert curves.empty
