import numpy as np
import pytest

from hooknet.coordinates import RasterGrid, Spacing
from hooknet.errors import MaskError
from hooknet.evaluation import slides as slides_module
from hooknet.evaluation.slides import count_slide, read_counts, write_counts
from hooknet.io.masks import Mask, create_mask
from hooknet.metrics.confusion import count

NAMES = ("stroma", "gland")
PALETTE = {1: (10, 20, 30), 2: (200, 100, 0)}


def write(path, labels, *, spacing=0.5, size=None, slide=0.25, names=NAMES):
    """A mask over a slide of ``size`` level-0 px of ``slide`` µm."""
    height, width = labels.shape
    size = size or (round(width * spacing / slide), round(height * spacing / slide))
    grid = RasterGrid.over(size, Spacing(slide, slide), spacing)
    assert (grid.width, grid.height) == (width, height)
    palette = {value: (value, 0, 0) for value in range(1, len(names) + 1)}
    with create_mask(path, grid, names, palette) as mask:
        mask.write(0, 0, labels)
    return Mask.open(path)


@pytest.fixture
def labels():
    rng = np.random.default_rng(7)
    return rng.integers(0, 3, (140, 180), np.uint8), rng.integers(0, 3, (140, 180), np.uint8)


def test_a_slide_counted_in_blocks_equals_the_arrays_counted_at_once(tmp_path, labels, monkeypatch):
    monkeypatch.setattr(slides_module, "BLOCK", 37)
    truth, prediction = labels
    with write(tmp_path / "t.tif", truth) as one, write(tmp_path / "p.tif", prediction) as other:
        assert count_slide(one, other, 2).tolist() == count(truth, prediction, 2).tolist()


def test_a_coarser_map_is_sampled_under_each_truth_pixel(tmp_path, monkeypatch):
    monkeypatch.setattr(slides_module, "BLOCK", 5)
    coarse = np.array([[1, 2, 0], [2, 1, 1]], np.uint8)
    truth = np.ones((8, 12), np.uint8)
    with (
        write(tmp_path / "t.tif", truth, spacing=0.5) as one,
        write(tmp_path / "p.tif", coarse, spacing=2.0) as other,
    ):
        counts = count_slide(one, other, 2)
    assert counts.tolist() == [[16, 48, 32], [0, 0, 0]]


def test_a_map_scaled_up_with_its_truth_scales_the_counts(tmp_path, labels):
    truth, prediction = labels
    fine = np.kron(prediction, np.ones((2, 2), np.uint8))
    with (
        write(tmp_path / "t.tif", truth, spacing=1.0) as one,
        write(tmp_path / "p.tif", fine, spacing=0.5) as other,
    ):
        assert count_slide(one, other, 2).tolist() == count(truth, prediction, 2).tolist()


def test_blocks_without_annotation_do_not_read_the_map(tmp_path, monkeypatch):
    monkeypatch.setattr(slides_module, "BLOCK", 10)
    truth = np.zeros((30, 40), np.uint8)
    truth[12, 31] = 2
    windows = []
    read_as = Mask.read_as
    monkeypatch.setattr(Mask, "read_as", lambda self, *a: (windows.append(a[1:]), read_as(self, *a))[1])
    with (
        write(tmp_path / "t.tif", truth) as one,
        write(tmp_path / "p.tif", np.ones((30, 40), np.uint8)) as other,
    ):
        assert count_slide(one, other, 2).tolist() == [[0, 0, 0], [0, 1, 0]]
    assert windows == [(30, 10, 10, 10)]


def test_a_map_shifted_by_one_pixel_is_seen_in_the_counts(tmp_path):
    truth = np.ones((20, 20), np.uint8)
    truth[:, 10:] = 2
    shifted = np.ones((20, 20), np.uint8)
    shifted[:, 11:] = 2
    with write(tmp_path / "t.tif", truth) as one, write(tmp_path / "p.tif", shifted) as other:
        assert count_slide(one, other, 2).tolist() == [[0, 200, 0], [0, 20, 180]]


def test_other_class_names_are_refused(tmp_path):
    ones = np.ones((8, 8), np.uint8)
    truth = write(tmp_path / "t.tif", ones)
    swapped = write(tmp_path / "p.tif", ones, names=NAMES[::-1])
    with pytest.raises(
        MaskError, match=r"p\.tif: classes are gland, stroma, those of .*t\.tif are stroma, gland"
    ):
        count_slide(truth, swapped, 2)
    with pytest.raises(MaskError, match=r"t\.tif: has 2 classes, wanted 3"):
        count_slide(truth, write(tmp_path / "q.tif", ones), 3)


def test_a_map_made_with_another_spacing_of_the_slide_is_refused(tmp_path):
    ones = np.ones((8, 8), np.uint8)
    truth = write(tmp_path / "t.tif", ones, spacing=0.5, slide=0.25)
    other = write(tmp_path / "p.tif", ones, spacing=1.0, slide=0.5)
    with pytest.raises(MaskError, match=r"p\.tif: takes a level-0 px of the slide for 0.5 x 0.5 µm"):
        count_slide(truth, other, 2)


def test_a_map_of_another_slide_is_refused(tmp_path):
    truth = write(tmp_path / "t.tif", np.ones((8, 8), np.uint8))
    other = write(tmp_path / "p.tif", np.ones((8, 12), np.uint8))
    with pytest.raises(MaskError, match="different slides"):
        count_slide(truth, other, 2)


COUNTS = {
    "a": np.array([[1, 2, 3], [4, 5, 6]], np.int64),
    'odd, "name" µ': np.array([[0, 10**12, 0], [0, 0, 7]], np.int64),
}


def test_counts_come_back_from_their_file_as_they_went(tmp_path):
    path = tmp_path / "counts.csv"
    write_counts(path, COUNTS, NAMES)
    found = read_counts(path, NAMES)
    assert list(found) == list(COUNTS)
    for slide, counts in COUNTS.items():
        assert (found[slide] == counts).all()
        assert found[slide].dtype == np.int64


def test_the_file_of_counts_is_tidy_and_names_its_classes(tmp_path):
    path = tmp_path / "counts.csv"
    write_counts(path, {"a": COUNTS["a"]}, NAMES)
    assert path.read_text().splitlines() == [
        "slide,truth,predicted,pixels",
        "a,stroma,(none),1",
        "a,stroma,stroma,2",
        "a,stroma,gland,3",
        "a,gland,(none),4",
        "a,gland,stroma,5",
        "a,gland,gland,6",
    ]


def test_no_slides_are_a_table_without_rows(tmp_path):
    write_counts(tmp_path / "none.csv", {}, NAMES)
    assert read_counts(tmp_path / "none.csv", NAMES) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], "slide a has 5 rows, wanted 6: the file was cut short"),
        (lambda lines: [*lines, lines[-1]], "line 8 counts slide a, gland as gland twice"),
        (
            lambda lines: [*lines[:-1], "a,gland,fat,6"],
            "line 7 counts 'gland' as 'fat', wanted stroma, gland",
        ),
        (lambda lines: [*lines[:-1], "a,gland,gland,-6"], "line 7 has '-6' pixels"),
        (lambda lines: [*lines[:-1], "a,gland,gl"], "line 7 has 3 cells, wanted 4"),
        (lambda lines: lines[1:], "starts with"),
        (lambda lines: [], "starts with nothing"),
    ],
)
def test_a_damaged_table_of_counts_is_refused(tmp_path, change, message):
    path = tmp_path / "counts.csv"
    write_counts(path, {"a": COUNTS["a"]}, NAMES)
    path.write_text("\n".join(change(path.read_text().splitlines())))
    with pytest.raises(MaskError, match=message):
        read_counts(path, NAMES)


def test_a_missing_table_is_a_mask_error(tmp_path):
    with pytest.raises(MaskError, match=r"gone\.csv: cannot be read"):
        read_counts(tmp_path / "gone.csv", NAMES)


def test_counts_of_another_number_of_classes_leave_no_file(tmp_path):
    with pytest.raises(MaskError, match=r"slide a has counts \(2, 3\) for 3 classes"):
        write_counts(tmp_path / "counts.csv", {"a": COUNTS["a"]}, (*NAMES, "fat"))
    assert not list(tmp_path.iterdir())
