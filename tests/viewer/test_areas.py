import dataclasses

import made_view
import pytest

from hooknet.errors import MaskError
from hooknet.viewer.areas import class_areas
from hooknet.viewer.catalogue import Layer

# The box of 600 x 600 level-0 px at 0.5 µm, and the mask of 1500 x 1100.
GLAND = 600 * 600 * 0.25 / 1e6
STROMA = (1500 * 1100 - 600 * 600) * 0.25 / 1e6


def test_areas_are_those_of_the_px(viewed):
    found = class_areas(viewed.slides[0].by_key["map-0"], made_view.CLASSES)
    assert found == pytest.approx({"stroma": STROMA, made_view.HOSTILE_CLASS: GLAND}, abs=1e-9)


def with_table(layer, tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    return dataclasses.replace(layer, quantities=tmp_path / "a.csv")


def test_areas_of_a_table_are_taken_where_it_has_all_classes(viewed, tmp_path):
    rows = f"slide,class,area_mm2,x\na,stroma,1.5,0\na,{made_view.HOSTILE_CLASS},0.25,0\n"
    layer = with_table(viewed.slides[0].by_key["map-0"], tmp_path, rows)
    assert class_areas(layer, made_view.CLASSES) == {"stroma": 1.5, made_view.HOSTILE_CLASS: 0.25}


@pytest.mark.parametrize(
    "text", ["", "slide,class\na,stroma\n", "class,area_mm2\nstroma,1.5\n", "class,area_mm2\na,?\n"]
)
def test_a_table_of_something_else_is_passed_over(viewed, tmp_path, text):
    layer = with_table(viewed.slides[0].by_key["map-0"], tmp_path, text)
    assert class_areas(layer, made_view.CLASSES)["stroma"] == pytest.approx(STROMA, abs=1e-9)


def test_a_mask_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(MaskError, match="no such file"):
        class_areas(Layer("map-0", "", tmp_path / "m.tif"), made_view.CLASSES)
