import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.errors import MaskError
from hooknet.evaluation.windows import (
    KEPT,
    SIDE,
    Rated,
    WindowRater,
    best,
    read_windows,
    worst,
    write_windows,
)


def block(value, height=SIDE, width=SIDE):
    return np.full((height, width), value, np.uint8)


def test_each_window_of_a_block_is_rated_on_its_own():
    truth = np.hstack([block(1), block(2)])
    prediction = np.hstack([block(1), block(1)])
    prediction[: SIDE // 2, SIDE:] = 2
    rater = WindowRater(2)
    rater.take(1024, 2048, truth, prediction)
    first, second = rater.rated
    assert first == Rated(1024, 2048, SIDE * SIDE, 1, 1.0)
    # half of class 2 found, nothing else there: 2 TP / (2 TP + FN)
    assert second == Rated(1024 + SIDE, 2048, SIDE * SIDE, 1, pytest.approx(2 / 3))


def test_a_sliver_of_a_class_does_not_decide():
    truth, rater = block(1), WindowRater(2)
    truth[:, :10] = 2  # 1.95 % of the px
    rater.take(0, 0, truth, block(1))
    truth[:, 10] = 2  # 2.1 %
    rater.take(0, 0, truth, block(1))
    sliver, large = rater.rated
    # 2 TP / (2 TP + FP), without and with the F1 of 0 of the class that was missed
    assert (sliver.classes, sliver.f1) == (1, pytest.approx(2 * 502 / (2 * 502 + 10)))
    assert (large.classes, large.f1) == (2, pytest.approx(501 / (2 * 501 + 11)))


def test_windows_with_little_annotation_are_not_rated():
    truth = block(0)
    rater = WindowRater(2)
    truth[:102] = 1  # 19.9 % of the rows
    rater.take(0, 0, truth, truth)
    assert rater.rated == []
    truth[102] = 1
    rater.take(0, 0, truth, truth)
    assert [one.annotated for one in rater.rated] == [103 * SIDE]


def test_narrow_windows_at_the_edge_are_rated_by_what_is_there():
    rater = WindowRater(2)
    rater.take(0, 0, block(1, SIDE, 200), block(1, SIDE, 200))
    assert [one.annotated for one in rater.rated] == [200 * SIDE]


windows = st.lists(
    st.builds(
        Rated,
        st.integers(0, 9).map(lambda one: one * SIDE),
        st.integers(0, 9).map(lambda one: one * SIDE),
        st.integers(1, SIDE * SIDE),
        st.integers(1, 5),
        st.floats(0, 1),
    ),
    unique_by=lambda one: (one.row, one.column),
    max_size=40,
)


@given(windows)
def test_what_is_written_is_read_and_holds_the_worst_and_the_best(rated):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "windows.csv"
        write_windows(path, rated)
        read = read_windows(path)
    assert set(read) == {*worst(rated, KEPT), *best(rated, KEPT)}
    assert worst(read, 4) == worst(rated, 4)
    assert best(read, 4) == best(rated, 4)


def test_fat_alone_is_no_feat():
    easy, mixed = Rated(0, 0, 9, 1, 1.0), Rated(0, 512, 9, 3, 0.9)
    assert best([easy, mixed], 1) == [mixed]


@pytest.mark.parametrize("text", ["", "column,row\n1,2\n", "column,row,annotated,classes,f1\n1,2,3\n"])
def test_other_files_are_refused_in_one_line(tmp_path, text):
    path = tmp_path / "windows.csv"
    path.write_text(text)
    with pytest.raises(MaskError, match=r"windows\.csv: cannot be read as rated windows"):
        read_windows(path)
    with pytest.raises(MaskError, match=r"missing\.csv: cannot be read"):
        read_windows(tmp_path / "missing.csv")
