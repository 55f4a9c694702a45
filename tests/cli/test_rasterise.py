import json
from pathlib import Path

import numpy as np
from made_cohort import HEIGHT, SLIDES, WIDTH, hooknet, refuse, step, truth
from PIL import Image

from hooknet.io.masks import Mask

FOLDER = SLIDES / "c"


def test_mask_is_what_was_drawn_and_its_counts_are_right(cohort):
    for name in ("labels.tif", "labels.json"):
        (FOLDER / name).unlink()
    assert hooknet(*step("rasterise")).status == 0
    with Mask.open(FOLDER / "labels.tif") as mask:
        assert np.array_equal(mask.read(0, 0, WIDTH, HEIGHT), truth())
    assert json.loads((FOLDER / "labels.json").read_text()) == {
        "slide": "c",
        "spacing": 1.0,
        "pixels": {"stroma": 80 * 140, "gland": 80 * 140},
    }


def test_own_raster_gives_the_identical_mask(cohort):
    (FOLDER / "truth.tif").unlink()
    assert hooknet(*step("rasterise", role="truth")).status == 0
    assert (FOLDER / "truth.tif").read_bytes() == (FOLDER / "labels.tif").read_bytes()


def test_own_raster_of_another_slide_is_one_line(cohort):
    Image.fromarray(truth()[:, :100]).save("c.png")
    message = refuse(*step("rasterise", role="truth"))
    assert message.startswith("c.png: ")
    assert "100 x 180" in message
    assert "220 x 180" in message


def test_own_raster_with_an_unknown_value_is_one_line(cohort):
    values = truth()
    values[0, 0] = 7
    Image.fromarray(values).save("c.png")
    assert refuse(*step("rasterise", role="truth")) == (
        "c.png: found values 0, 1, 2, 7, wanted 0 (not annotated), 1 stroma, 2 gland; "
        "list all values that mean a class in its raster_values"
    )


def test_own_raster_of_colours_is_one_line(cohort):
    Image.new("RGB", (WIDTH, HEIGHT)).save("c.png")
    assert refuse(*step("rasterise", role="truth")) == (
        "c.png: found 3 band(s) of uint8, wanted one band of uint8 class values"
    )


def test_missing_geojson_is_one_line(cohort):
    (FOLDER / "labels.geojson").unlink()
    assert refuse(*step("rasterise")).startswith(f"{FOLDER}/labels.geojson: ")


def test_missing_slide_is_one_line(cohort):
    Path("c.tif").unlink()
    assert (
        refuse(*step("rasterise"))
        == "c.tif: found no such file; correct the slide's path in the datasets file"
    )
