"""Label rasters, masks and maps of another size, another slide, or that are damaged."""

import json
import re
from functools import partial
from pathlib import Path

import hostile_cases
import made_cohort
import numpy as np
import pytest
import tifffile
from hostile_cases import LABELS, MAP, Case, cut, make_map, refused
from made_cohort import SLIDES, hooknet, step
from PIL import Image

TRUTH = SLIDES / "c" / "truth.tif"
TISSUE = SLIDES / "c" / "tissue.tif"
PAINT, EVALUATE = step("rasterise", role="truth"), step("evaluate", role="truth")
QUANTIFY, INDEX, BOUNDARIES = step("quantify"), step("index-centres"), step("measure-boundaries")
VALUES = made_cohort.truth()
OTHER_SIZE = (
    "c.png: found {} px, wanted the slide's 220 x 180 px or the whole slide at a coarser scale (same aspect within one "
    "px); is it another slide's, or a part of this one?"
)
NOT_OURS = (
    f"{MAP}: the image description does not say 'hooknet label mask 1' with its spacing and classes; "
    "wanted a mask written by this package"
)
CUT = f"{MAP}: cut short, perhaps by a copy; copy it or make it again"
FOREIGN = f"{MAP} does not fit: {TRUTH}: covers 220 x 180 level-0 px, wanted one over 100 x 100: the rasters belong to different slides"


def png(values):
    Image.fromarray(values).save("c.png")


def rough_png(share):
    """The first part of a PNG of noise."""
    png(np.random.default_rng(0).integers(0, 3, (180, 220)).astype(np.uint8))
    cut(Path("c.png"), share)


def told(change, path=MAP, values=VALUES):
    """Write a mask anew with another description."""
    with tifffile.TiffFile(path) as file:
        description = json.loads(file.pages[0].description)
    changed = change(description)
    text = changed if isinstance(changed, str) else json.dumps(description)
    tifffile.imwrite(path, values, tile=(512, 512), compression="zlib", description=text, metadata=None)


def says(**changes):
    told(lambda description: description.update(changes))


def overwritten(path):
    with tifffile.TiffFile(path) as file:
        start, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    content = bytearray(path.read_bytes())
    content[start : start + count] = bytes(count)
    path.write_bytes(content)


def nines(path):
    told(lambda description: None, path, np.full((180, 220), 9, np.uint8))


def nine_in(path):
    return f"{path}: found value 9, wanted 0..2, the classes it names; it is damaged or was edited, make it again"


CASES = [
    Case("16 bits", lambda: png(VALUES.astype(np.uint16)), PAINT,
         "c.png: found 1 band(s) of uint16, wanted one band of uint8 class values"),
    Case("colours", lambda: png(np.dstack([VALUES] * 3)), PAINT,
         "c.png: found 3 band(s) of uint8, wanted one band of uint8 class values"),
    Case("values outside the map", lambda: png(VALUES * 7), PAINT,
         "c.png: found values 0, 7, 14, wanted 0 (not annotated), 1 stroma, 2 gland; "
         "list all values that mean a class in its raster_values"),
    Case("a part of the slide", lambda: png(VALUES[:50, :50]), PAINT, OTHER_SIZE.format("50 x 50")),
    Case("turned", lambda: png(VALUES.T.copy()), PAINT, OTHER_SIZE.format("180 x 220")),
    Case("no bytes", lambda: Path("c.png").write_bytes(b""), PAINT, re.compile(r"c\.png: not a readable raster \(.+\)")),
    *(
        Case(f"a PNG of which {share:.0%} are there", partial(rough_png, share), PAINT,
             re.compile(r"c\.png: cannot read 220 x 180 px at column 0, row 0 \(.+\); the file is damaged, make it again"))
        for share in (0.3, 0.6, 0.9, 0.99)
    ),
    Case("a missing map", MAP.unlink, EVALUATE, f"{MAP}: no such file, wanted a single-band uint8 raster"),
    Case("a map of no bytes", lambda: MAP.write_bytes(b""), EVALUATE, re.compile(f"{re.escape(str(MAP))}: not a readable raster .+")),
    *(Case(f"a map of which {share:.0%} are there", partial(cut, MAP, share), EVALUATE, CUT) for share in (0.9, 0.99)),
    Case("a map with a damaged tile", lambda: overwritten(MAP), EVALUATE,
         re.compile(rf"{re.escape(str(MAP))}: cannot read .+; the file is damaged, make it again")),
    Case("a map of another slide", lambda: make_map(values=VALUES[:100, :100]), EVALUATE, FOREIGN),
    Case("a map of another slide, for boundaries", lambda: make_map(values=VALUES[:100, :100]), BOUNDARIES, FOREIGN),
    Case("a map of another spacing", lambda: make_map(spacing=2.0), EVALUATE,
         f"{MAP}: takes a level-0 px of the slide for 2 x 2 µm, {TRUTH} for 1 x 1 µm: make both with one spacing of the slide"),
    Case("a map of other classes", lambda: make_map(names=("x", "y")), EVALUATE,
         f"{MAP}: classes are x, y, those of {TRUTH} are stroma, gland: make both with one label map"),
    Case("a map with a value outside its classes", lambda: nines(MAP), EVALUATE, nine_in(MAP)),
    Case("the same, to be measured", lambda: nines(MAP), QUANTIFY, nine_in(MAP)),
    Case("a label mask with such a value", lambda: nines(LABELS), INDEX, nine_in(LABELS)),
    Case("another version", lambda: says(format="hooknet label mask 2"), EVALUATE, NOT_OURS),
    Case("spacing nan", lambda: says(spacing=float("nan")), EVALUATE, NOT_OURS),
    Case("spacing -1", lambda: says(spacing=-1), EVALUATE, NOT_OURS),
    Case("spacing 10^400", lambda: says(spacing=10**400), EVALUATE, NOT_OURS),
    Case("step 0", lambda: says(step=[0, 0]), EVALUATE, NOT_OURS),
    Case("step -1", lambda: says(step=[-1, -1]), EVALUATE, NOT_OURS),
    Case("three steps", lambda: says(step=[1, 1, 1]), EVALUATE, NOT_OURS),
    Case("no class", lambda: says(classes=[]), QUANTIFY, NOT_OURS),
    Case("a colour of two bytes", lambda: says(classes=[{"name": "a", "colour": "#1234"}]), EVALUATE, NOT_OURS),
    Case("a description 100,000 lists deep", lambda: told(lambda _: "[" * 100_000), EVALUATE, NOT_OURS),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_raster_is_refused(cohort, case):
    refused(case)


# What is odd, the raster, and the px of stroma and gland; a box has 80 x 140.
LEGAL = [
    ("whole", VALUES, "L", (11_200, 11_200)),
    ("half as fine", VALUES[::2, ::2].copy(), "L", (11_200, 11_200)),
    ("indices of a palette", VALUES, "P", (11_200, 11_200)),
]


@pytest.mark.parametrize(
    ("values", "mode", "pixels"), [one[1:] for one in LEGAL], ids=[one[0] for one in LEGAL]
)
def test_odd_raster_works(cohort, values, mode, pixels):
    image = Image.fromarray(values)
    if mode == "P":
        image = Image.fromarray(values, "P")
        image.putpalette([255, 255, 255, 200, 0, 0, 0, 0, 200])
    image.save("c.png")
    assert hooknet(*PAINT).status == 0
    found = json.loads((SLIDES / "c" / "truth.json").read_text())["pixels"]
    assert (found["stroma"], found["gland"]) == pixels


def test_helper_makes_a_map_that_is_right(cohort):
    hostile_cases.make_map()
    assert hooknet(*EVALUATE).status == 0
    assert hooknet(*QUANTIFY).status == 0
