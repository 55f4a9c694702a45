"""Slides of which a part is not there, or cannot be read."""

import json
import re
from pathlib import Path

import made_cohort
import numpy as np
import pytest
import tifffile
import yaml
from hostile_cases import MAP, Case, contents, of_run, refused, weights
from made_cohort import HEIGHT, SLIDES, WIDTH, hooknet, step

from hooknet.coordinates import Window
from hooknet.io.masks import Mask
from hooknet.io.slides import Slide

CHECK, READ, PAINT, INFER = map(step, ("check-slide", "read-annotations", "rasterise", "infer"))
TILE, ACROSS = 64, 4  # px a side of the slide's tiles, and how many of them there are in a row; three rows


def tables():
    """Where offsets and lengths of the tiles of the slide c stand in its file, and those."""
    with tifffile.TiffFile("c.tif") as file:
        page = file.pages[0]
        places = [page.tags[name] for name in ("TileOffsets", "TileByteCounts")]
        assert (page.tilewidth, page.tilelength, len(page.dataoffsets)) == (TILE, TILE, 3 * ACROSS)
        assert all(int(one.dtype) == 4 for one in places)
        return [one.valueoffset for one in places], list(
            zip(page.dataoffsets, page.databytecounts, strict=True)
        )


def only_from(column, row):
    """No tile left of a column or above a row: OpenSlide's bounds are what there is."""
    content = bytearray(Path("c.tif").read_bytes())
    for table in tables()[0]:
        for tile in range(3 * ACROSS):
            if tile % ACROSS < column or tile // ACROSS < row:
                content[table + 4 * tile : table + 4 * tile + 4] = bytes(4)
    Path("c.tif").write_bytes(content)


def spoil(tile):
    start, length = tables()[1][tile]
    content = bytearray(Path("c.tif").read_bytes())
    content[start : start + length] = b"\xff" * length
    Path("c.tif").write_bytes(content)


def count_from(origin):
    document = yaml.safe_load(Path("datasets.yaml").read_text())
    document["datasets"]["colon"]["origin"] = origin
    Path("datasets.yaml").write_text(yaml.safe_dump(document))


# The key `origin`, the shape as drawn, its first px as painted, and how many there are.
BOUNDS = [
    ("slide", (70, 70, 110, 120), (70, 70), 40 * 50),
    ("bounds", (6, 6, 46, 56), (70, 70), 40 * 50),
    ("bounds", (100, 100, 140, 140), (164, 164), 40 * 16),
]


@pytest.mark.parametrize(("origin", "box", "first", "pixels"), BOUNDS)
def test_annotations_count_from_the_bounds_where_the_dataset_says_so(cohort, origin, box, first, pixels):
    only_from(1, 1)
    count_from(origin)
    Path("c.xml").write_text(made_cohort.asap(made_cohort.polygon("stroma", box)))
    for command in (CHECK, READ, PAINT):
        assert hooknet(*command).status == 0
    assert json.loads((SLIDES / "c" / "slide.json").read_text())["bounds_offset"] == [TILE, TILE]
    with Mask.open(SLIDES / "c" / "labels.tif") as mask:
        rows, columns = np.nonzero(mask.read(0, 0, WIDTH, HEIGHT))
    assert ((columns.min(), rows.min()), rows.size) == (first, pixels)
    with Slide("c.tif") as slide:
        assert slide.read(Window(0, 0, 1, 1), (1, 1))[0, 0].tolist() == [255] * 3, (
            "what is not there is white"
        )


def test_annotations_of_the_whole_slide_that_would_count_from_the_bounds_are_refused(cohort):
    only_from(3, 1)
    count_from("bounds")
    line = (
        "c.xml: shape 2 'a' spans x 312 to 392, y 84 to 224, wanted level-0 px of a slide of 220 x 180; "
        "another slide's annotations, or the wrong origin or units?"
    )
    refused(Case("", lambda: None, READ, line))


def test_tile_that_cannot_be_read_is_left_out_of_the_map(cohort, caplog):
    weights()
    of_run(over="everything", engine="torch")
    assert hooknet(*INFER).status == 0
    with Mask.open(MAP) as found:
        whole = found.read(0, 0, WIDTH, HEIGHT)
    spoil(5)
    of_run(unreadable=0.5)
    assert hooknet(*INFER).status == 0
    with Mask.open(MAP) as found:
        values = found.read(0, 0, WIDTH, HEIGHT)
    # The slide is read 128 px a side at once: four of its twelve tiles, of which one cannot be read.
    lost = np.zeros_like(whole, bool)
    lost[:128, :128] = True
    assert (whole > 0).all()
    assert np.array_equal(values == 0, lost)
    told = [record.message for record in caplog.records if "cannot be read" in record.message]
    assert told == [
        "c: 33.3 % of the slide cannot be read, first at (0, 0), and nothing is predicted there; copy or scan the file again"
    ]


def test_slide_of_which_too_much_cannot_be_read_keeps_the_map_it_had(cohort):
    weights()
    of_run(over="everything", engine="torch", unreadable=0.05)
    spoil(5)
    before = contents(Path("results"))
    line = re.compile(
        r"c\.tif: level 0 cannot be read at \(.+\) \(.+\); the file is damaged: copy or scan it again; "
        r"more than 0\.05 of the slide is so, the most that is allowed"
    )
    refused(Case("", lambda: None, INFER, line))
    assert contents(Path("results")) == before
