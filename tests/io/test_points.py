"""Predictions of centres survive the disk; anything else is refused in a line."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_points import points

from hooknet.errors import MaskError
from hooknet.io.points import read_points, write_points


@pytest.fixture
def made():
    return points(
        [1, 2, 2], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], slides=["s1", "s1", "s2"], x=[0.5, 7.25, 1e5]
    )


def test_they_come_back_as_they_were(made, tmp_path):
    write_points(tmp_path / "p.parquet", made)
    found = read_points(tmp_path / "p.parquet")
    assert found.are_those_of(made)
    assert made.are_those_of(found)
    assert np.array_equal(found.probabilities, made.probabilities)
    assert found.predicted.tolist() == [1, 2, 1]


@pytest.mark.parametrize("changed", ["label", "x", "slide"])
def test_other_centres_are_not_the_same(made, tmp_path, changed):
    other = {
        "label": {"labels": [1, 2, 1]},
        "x": {"x": [0.5, 7.25, 2.0]},
        "slide": {"slides": ["s1", "s2", "s2"]},
    }
    how = {"labels": [1, 2, 2], "slides": ["s1", "s1", "s2"], "x": [0.5, 7.25, 1e5]} | other[changed]
    assert not made.are_those_of(points(how["labels"], made.probabilities, slides=how["slides"], x=how["x"]))


def damaged(path, made, **columns):
    write_points(path, made)
    table = pq.read_table(path)
    frame = table.to_pandas().assign(**columns)
    changed = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(table.schema.metadata)
    pq.write_table(changed, path)


@pytest.mark.parametrize(
    "columns",
    [
        {"label": [1, 2, 3]},
        {"label": [0, 1, 1]},
        {"probability_1": [np.nan, 0.5, 0.5]},
        {"probability_2": [-1.0, 0.5, 0.5]},
    ],
)
def test_values_that_nothing_predicts_are_refused(made, tmp_path, columns):
    damaged(tmp_path / "p.parquet", made, **columns)
    with pytest.raises(MaskError, match=r"p\.parquet: not what a trial predicts"):
        read_points(tmp_path / "p.parquet")


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(MaskError, match="no such file; make it with train-trial"):
        read_points(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(MaskError, match="make it again with train-trial"):
        read_points(tmp_path / "text.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(MaskError, match="make it again with train-trial"):
        read_points(tmp_path / "other.parquet")
