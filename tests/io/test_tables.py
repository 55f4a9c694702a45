import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hooknet.errors import MaskError
from hooknet.io.tables import Centres, read_centres, write_centres


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
