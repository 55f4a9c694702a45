import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hooknet.config.sides import Side
from hooknet.errors import ConfigError, HookNetError, MaskError
from hooknet.io.tables import (
    Centres,
    read_centres,
    read_json,
    read_splits,
    write_centres,
    write_json,
    write_splits,
)


def centres():
    table = pd.DataFrame(
        {
            "x": [1.1, 1e5 / 3],
            "y": [0.0, 2.5],
            "label": np.array([1, 2], np.uint8),
            "region": np.array([0, 7], np.int32),
            "pixels_1": np.array([4900, 0], np.int32),
            "pixels_2": np.array([0, 3], np.int32),
        }
    )
    return Centres(table, ("tumour", "Übergang"), 70, 0.2277)


def test_an_index_comes_back_exactly_with_its_types(tmp_path):
    write_centres(tmp_path / "a.parquet", centres())
    found = read_centres(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(found.table, centres().table, check_exact=True)
    assert (found.names, found.size, found.spacing) == (("tumour", "Übergang"), 70, 0.2277)
    assert os.listdir(tmp_path) == ["a.parquet"]


def test_the_same_index_gives_the_same_bytes(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        write_centres(tmp_path / name, centres())
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_what_is_no_index_is_one_line(tmp_path):
    (tmp_path / "text.parquet").write_text("no parquet")
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "other.parquet")
    for name in ("text.parquet", "other.parquet", "none.parquet"):
        with pytest.raises(
            MaskError, match=r"(not an index of patch centres .*|no such file).* with index-centres$"
        ) as caught:
            read_centres(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith(str(tmp_path / name))


def test_a_cut_off_index_is_one_line(tmp_path):
    write_centres(tmp_path / "a.parquet", centres())
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MaskError):
        read_centres(tmp_path / "a.parquet")


def test_a_record_comes_back_and_can_be_read_by_people(tmp_path):
    record = {"spacing": 0.1 + 0.2, "name": "µ", "levels": [1, 2], "none": None}
    write_json(tmp_path / "a.json", record)
    assert read_json(tmp_path / "a.json") == record
    assert "µ" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["{", "[1]", "3", ""])
def test_what_is_no_record_is_one_line(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(HookNetError, match="make it again") as caught:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


def test_a_missing_record_is_one_line(tmp_path):
    with pytest.raises(HookNetError, match=r"none\.json: not a readable JSON record"):
        read_json(tmp_path / "none.json")


def test_splits_come_back_in_order(tmp_path):
    assigned = {"b": Side("training"), "a": Side("test"), "c": Side(fold=0), "d": Side("validation", 12)}
    write_splits(tmp_path / "splits.tsv", assigned)
    assert list(read_splits(tmp_path / "splits.tsv").items()) == list(assigned.items())
    assert (tmp_path / "splits.tsv").read_text() == (
        "id\tfold\tsplit\nb\t\ttraining\na\t\ttest\nc\t0\t\nd\t12\tvalidation\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "slide\tsplit\na\ttest\n",
        "id\tfold\tsplit\na\t\ttest\na\t\ttraining\n",
        "slide,split\na,test\n",
        "id\tfold\tsplit\na\t0\n",
        "id\tfold\tsplit\na\t\t\n",
        "id\tfold\tsplit\na\tzero\t\n",
        "id\tfold\tsplit\na\t0\ttset\n",
    ],
)
def test_a_broken_sheet_of_splits_is_one_line(tmp_path, text):
    (tmp_path / "splits.tsv").write_text(text)
    with pytest.raises(ConfigError, match="not a sheet of splits"):
        read_splits(tmp_path / "splits.tsv")


def test_a_record_that_is_not_json_is_not_written(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"array": np.zeros(2)})
    assert not (tmp_path / "a.json").exists()
