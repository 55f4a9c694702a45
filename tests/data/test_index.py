from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hooknet.coordinates import PatchSpec
from hooknet.data.index import CentreIndex, SlideFiles, load_index
from hooknet.errors import MaskError
from hooknet.io.tables import Centres, write_centres

SPEC = PatchSpec(284, 70, (0.5, 8.0))
NAMES = ("tumour", "stroma")


def files(folder, name, labels, **changed):
    table = pd.DataFrame(
        {
            "x": np.arange(len(labels)) + 0.5,
            "y": np.arange(len(labels)) * 2.0,
            "label": np.array(labels, np.uint8),
            "region": np.zeros(len(labels), np.int32),
            "pixels_1": np.full(len(labels), 10, np.int32),
            "pixels_2": np.array(labels, np.int32),
        }
    )
    write_centres(folder / f"{name}.parquet", replace(Centres(table, NAMES, 70, 0.5), **changed))
    return SlideFiles(name, Path(f"{name}.svs"), None, Path(f"{name}.tif"), folder / f"{name}.parquet")


def test_the_slides_follow_one_another_and_keep_their_number(tmp_path):
    index = load_index([files(tmp_path, "a", [1, 1]), files(tmp_path, "b", [2])], NAMES, SPEC)
    assert index.table["slide"].tolist() == [0, 0, 1]
    assert index.table["x"].tolist() == [0.5, 1.5, 0.5]
    assert index.labels.tolist() == [1, 1, 2]
    assert index.pixels.tolist() == [[10, 1], [10, 1], [10, 2]]
    assert [one.id for one in index.slides] == ["a", "b"]


def test_classes_without_a_centre_are_named(tmp_path):
    index = load_index([files(tmp_path, "a", [2, 2])], NAMES, SPEC)
    assert index.missing_classes() == ["tumour"]
    assert load_index([files(tmp_path, "b", [2, 1])], NAMES, SPEC).missing_classes() == []


def test_no_slides_are_an_index_in_which_every_class_is_missing():
    assert load_index([], NAMES, SPEC).missing_classes() == ["tumour", "stroma"]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"names": ("stroma", "tumour")}, "made for the classes stroma, tumour, wanted tumour, stroma"),
        ({"size": 72}, "counts label patches of 72 px at 0.5 µm/px, wanted 70 px at 0.5 µm/px"),
        ({"spacing": 0.499}, "counts label patches of 70 px at 0.499 µm/px, wanted 70 px at 0.5 µm/px"),
    ],
)
def test_an_index_made_for_something_else_is_refused(tmp_path, changed, told):
    one = files(tmp_path, "a", [1, 2], **changed)
    with pytest.raises(MaskError) as caught:
        load_index([one], NAMES, SPEC)
    assert str(caught.value) == f"{one.centres}: {told}; make it again with index-centres"


def test_a_class_that_no_patch_shows_is_missing():
    table = pd.DataFrame({"label": np.uint8([1, 2, 2]), "pixels_1": [9, 4, 9], "pixels_2": [0, 0, 0]})
    assert CentreIndex(table, (), ("stroma", "gland")).missing_classes() == ["gland"]
    seen = table.assign(pixels_2=[0, 0, 1])
    assert CentreIndex(seen, (), ("stroma", "gland")).missing_classes() == []
