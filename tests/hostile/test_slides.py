"""Slides that are no slides, lie about their scale, or are damaged; and odd ones that have to work."""

import json
import os
import re
import struct
from functools import partial
from pathlib import Path

import hostile_cases
import made_cohort
import made_slides
import numpy as np
import pytest
import tifffile
from hostile_cases import Case, of_slide_c, refused
from made_cohort import SLIDES, hooknet, step
from PIL import Image

from hooknet.coordinates import Window
from hooknet.errors import SlideError
from hooknet.io.slides import Slide

CHECK, TISSUE = step("check-slide"), step("detect-tissue")
GREY = np.full((180, 220, 3), 200, np.uint8)
OVERRIDE = "set the slide's `spacing` in µm/px in the datasets file"
UNSAID = f"c.tif: the file does not say its spacing; {OVERRIDE}"
NO_SLIDE = re.compile(
    r"c\.tif: OpenSlide cannot open it \(.+\); give a slide of a format it knows, such as a tiled pyramidal TIFF"
)
NOT_THERE = "c.tif: found no such file; correct the slide's path in the datasets file"
CELL = "datasets.yaml: datasets.colon.slides.2.spacing: found {}, wanted the spacing in µm/px (0.02..50), or one for x and one for y"


def write(image=GREY, **changes):
    """A slide c of 1 µm/px, one level; keys of tifffile may be changed, or left out by None."""
    told = {
        "tile": (64, 64), "photometric": "rgb", "compression": "deflate", "metadata": None,
        "resolution": (1e4, 1e4), "resolutionunit": "CENTIMETER", **changes,
    }  # fmt: skip
    with tifffile.TiffWriter("c.tif") as writer:
        writer.write(image, **{key: value for key, value in told.items() if value is not None})


def aperio(spacing):
    write(
        description=f"Aperio Image Library v1\n220x180|MPP = {spacing}", resolution=None, resolutionunit=None
    )


def pyramid():
    image = made_slides.grey(made_slides.random_bits(700, 700, 3) * 255)
    levels = image[::2, ::2].copy(), image[::4, ::4].copy()
    made_slides.write_slide(Path("c.tif"), image, levels, spacing=1.0)


def spoil(level, tile):
    """Write zeros over one tile of a pyramid."""
    pyramid()
    with tifffile.TiffFile("c.tif") as file:
        page = file.pages[level]
        start, count = page.dataoffsets[tile], page.databytecounts[tile]
    content = bytearray(Path("c.tif").read_bytes())
    content[start : start + count] = bytes(count)
    Path("c.tif").write_bytes(content)


def sparse(width, height, tile_width, tile_height, tiles=1):
    """A BigTIFF that claims a size and stores no pixel: a kilobyte of directory."""
    entries = [
        (256, 16, width), (257, 16, height), (258, 3, (8, 8, 8)), (259, 3, 1), (262, 3, 2), (277, 3, 3),
        (282, 5, (10000, 1)), (283, 5, (10000, 1)), (296, 3, 3), (322, 16, tile_width), (323, 16, tile_height),
        (324, 16, [0] * tiles), (325, 16, [0] * tiles),
    ]  # fmt: skip
    behind = 16 + 8 + 20 * len(entries) + 8
    table, extra = b"", b""
    for tag, kind, value in entries:
        if kind == 5:
            count, packed = 1, struct.pack("<II", *value)
        elif kind == 3 and isinstance(value, tuple):
            count, packed = 3, struct.pack("<4H", *value, 0)
        elif isinstance(value, list) and len(value) > 1:
            count, packed = len(value), struct.pack("<Q", behind + len(extra))
            extra += bytes(8 * count)
        else:
            count, packed = 1, struct.pack("<Q", value[0] if isinstance(value, list) else value)
        table += struct.pack("<HHQ", tag, kind, count) + packed
    head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) + struct.pack("<Q", len(entries))
    Path("c.tif").write_bytes(head + table + bytes(8) + extra)


def instead(make):
    Path("c.tif").unlink()
    make()


def damaged(level):
    return re.compile(
        rf"c\.tif: level {level} cannot be read at \(\d+, \d+\) \(.+\); the file is damaged: copy or scan it again"
    )


CASES = [
    Case("no bytes", lambda: Path("c.tif").write_bytes(b""), CHECK, NO_SLIDE),
    Case("a missing file", lambda: Path("c.tif").unlink(), CHECK, NOT_THERE),
    Case("a directory", partial(instead, lambda: Path("c.tif").mkdir()), CHECK, NOT_THERE),
    Case("a link to itself", partial(instead, lambda: Path("c.tif").symlink_to("c.tif")), CHECK, NOT_THERE),
    Case("a pipe, which would wait for ever", partial(instead, lambda: os.mkfifo("c.tif")), CHECK, NOT_THERE),
    Case("text", lambda: Path("c.tif").write_text("hello"), CHECK, NO_SLIDE),
    Case("a PNG under a slide's suffix", lambda: Image.fromarray(GREY).save("c.tif", "png"), CHECK, NO_SLIDE),
    Case("strips for tiles", partial(write, tile=None, rowsperstrip=20), CHECK, NO_SLIDE),
    Case("a NUL in its path", lambda: of_slide_c(slide="c\0.tif"), CHECK,
         "c\\x00.tif: found no such file; correct the slide's path in the datasets file"),
    Case("float pixels", partial(write, GREY.astype(np.float32)), CHECK, damaged(0)),
    Case("no spacing", partial(write, resolution=None, resolutionunit=None), CHECK, UNSAID),
    Case("spacing 0", partial(write, resolution=(0, 1)), CHECK, UNSAID),
    Case("spacing in no unit", partial(write, resolutionunit="NONE"), CHECK, UNSAID),
    Case("spacing nan (Aperio)", partial(aperio, "nan"), CHECK, UNSAID),
    Case("spacing -1 (Aperio)", partial(aperio, "-1"), CHECK, UNSAID),
    Case("spacing with a comma (Aperio)", partial(aperio, "1,0"), CHECK, UNSAID),
    Case("10 mm a px", partial(write, resolution=(1, 1)), CHECK,
         f"c.tif: the file says 10000 µm/px, wanted 0.02..50; {OVERRIDE}"),
    Case("10 pm a px", partial(write, resolution=(1e9, 1e9)), CHECK,
         f"c.tif: the file says 1e-05 µm/px, wanted 0.02..50; {OVERRIDE}"),
    Case("px 5 times as wide as high", partial(write, resolution=(1e4, 5e4)), CHECK,
         f"c.tif: the file says 1 x 0.2 µm/px, wanted sides at most 4 times each other; {OVERRIDE}"),
    Case("a sheet's spacing of nan", lambda: of_slide_c(spacing=float("nan")), CHECK, CELL.format("nan")),
    Case("a sheet's spacing of -1", lambda: of_slide_c(spacing=-1), CHECK, CELL.format("-1")),
    Case("a sheet's spacing with a unit", lambda: of_slide_c(spacing="1 µm"), CHECK, CELL.format("'1 µm'")),
    Case("three spacings in a sheet", lambda: of_slide_c(spacing=[1, 1, 1]), CHECK, CELL.format("[1, 1, 1]")),
    Case("2^31 x 100 px: 2 km", partial(sparse, 2**31, 100, 2**20, 512, 2**11), CHECK,
         f"c.tif: found tiles of 1048576 x 512 px in level 0, wanted at most {2**26} px; "
         "save the slide with tiles of 256 to 4096 px"),
    Case("2^31 px a side, one tile in its table", partial(sparse, 2**31, 2**31, 512, 512), CHECK, NO_SLIDE),
    Case("2^21 px a side of 1 µm: 2 m", partial(sparse, 2**21, 2**21, 2**13, 2**13, 2**16), TISSUE,
         "c.tif: found 2097152 x 2097152 px at 1 µm/px, which is 2.1 x 2.1 m, wanted at most 0.3 m; "
         f"{OVERRIDE} if the file's is wrong, else the file is damaged"),
    Case("one tile of 2^30 x 2^10 px", partial(sparse, 2**30, 2**10, 2**30, 2**10), CHECK,
         f"c.tif: found tiles of 1073741824 x 1024 px in level 0, wanted at most {2**26} px; "
         "save the slide with tiles of 256 to 4096 px"),
    Case("a corrupt tile where it is looked at", partial(spoil, 0, 0), CHECK, damaged(0)),
    Case("a corrupt level", partial(spoil, 2, 0), CHECK, damaged(2)),
    Case("a corrupt level, for tissue", partial(spoil, 2, 0), TISSUE, damaged(2)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_slide_is_refused(cohort, case):
    refused(case)


@pytest.mark.parametrize("place", range(20))
def test_slide_cut_short_anywhere_is_refused(cohort, place):
    pyramid()
    hostile_cases.cut(Path("c.tif"), np.random.default_rng(place).uniform())
    cut_off = re.compile(
        r"c\.tif: directory \d at byte \d+ needs \d+ bytes, found \d+: the file is cut short; copy it again"
    )
    either = re.compile(f"{NO_SLIDE.pattern}|{damaged(r'[0-2]').pattern}|{cut_off.pattern}")
    refused(Case("", lambda: None, CHECK, either))


def test_level_whose_directory_is_cut_off_is_missed(cohort):
    """OpenSlide opens it as a slide of two levels."""
    pyramid()
    with tifffile.TiffFile("c.tif") as file:
        page = file.pages[2]
        counts = page.tags["TileByteCounts"]
        table = counts.valueoffset
        start, needs = page.offset, table + counts.valuebytecount
    Path("c.tif").write_bytes(Path("c.tif").read_bytes()[: table + 1])
    with Slide("c.tif") as slide:
        assert len(slide.levels) == 2
    line = f"c.tif: directory 2 at byte {start} needs {needs} bytes, found {table + 1}: the file is cut short; copy it again"
    refused(Case("", lambda: None, CHECK, line))


def test_corrupt_tile_that_no_check_looks_at_stops_whoever_reads_it(cohort):
    spoil(0, 14)
    assert hooknet(*CHECK).status == 0
    with Slide("c.tif") as slide:
        # Tile 14 is the fourth of the second row; what lies beside it can still be read afterwards.
        with pytest.raises(SlideError, match=damaged(0).pattern):
            slide.read(Window(192, 64, 64, 64), (64, 64))
        assert slide.read(Window(0, 64, 64, 64), (64, 64)).shape == (64, 64, 3)


def test_slide_that_vanishes_while_it_is_read(cohort):
    slide = Slide("c.tif")
    first = slide.read(Window(0, 0, 8, 8), (8, 8))
    Path("c.tif").unlink()
    np.testing.assert_array_equal(
        slide.read(Window(0, 0, 8, 8), (8, 8)), first
    )  # the open file is still there
    slide.close()
    with pytest.raises(SlideError, match=re.escape(NOT_THERE)):
        slide.read(Window(0, 0, 8, 8), (8, 8))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root to become someone else")
def test_slide_that_may_not_be_read(cohort):
    os.chmod("c.tif", 0)
    for folder in [Path(), *Path().rglob("*")]:
        if folder.is_dir():
            folder.chmod(0o777)
    os.seteuid(65534)
    try:
        outcome = hooknet(*CHECK)
    finally:
        os.seteuid(0)
    assert outcome.status == 2
    assert NO_SLIDE.fullmatch(outcome.err.removeprefix("hooknet: ").removesuffix("\n")), outcome.err


def subifds():
    image = made_cohort.image(3)
    common = {"tile": (64, 64), "photometric": "rgb", "compression": "deflate", "metadata": None}
    with tifffile.TiffWriter("c.tif") as writer:
        writer.write(image, subifds=1, resolution=(1e4, 1e4), resolutionunit="CENTIMETER", **common)
        writer.write(image[::2, ::2].copy(), subfiletype=1, **common)


def palette():
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    write(GREY[..., 0], photometric="palette", colormap=ramp)


ALPHA = np.dstack([np.full((180, 220, 3), 100, np.uint8), np.full((180, 220), 128, np.uint8)])
# What is odd, how it is made, and what has to come out: size, spacing, number of levels, grey value of a px.
LEGAL = [
    ("1 px", partial(write, GREY[:1, :1]), [1, 1], [1.0, 1.0], 1, 200),
    ("1 px wide", partial(write, GREY[:, :1]), [1, 180], [1.0, 1.0], 1, 200),
    ("one level", write, [220, 180], [1.0, 1.0], 1, 200),
    ("inches", partial(write, resolution=(25400, 25400), resolutionunit="INCH"), [220, 180], [1.0, 1.0], 1, 200),
    ("px not square", partial(write, resolution=(1e4, 2e4)), [220, 180], [1.0, 0.5], 1, 200),
    ("a pyramid in SubIFDs shows its first level", subifds, [220, 180], [1.0, 1.0], 1, None),
    ("a palette gives its colours", palette, [220, 180], [1.0, 1.0], 1, 200),
    ("16 bits give the upper eight", partial(write, GREY.astype(np.uint16) * 257), [220, 180], [1.0, 1.0], 1, 200),
    ("grey", partial(write, GREY[..., 0], photometric="minisblack"), [220, 180], [1.0, 1.0], 1, 200),
    ("grey the other way round", partial(write, GREY[..., 0], photometric="miniswhite"), [220, 180], [1.0, 1.0], 1, 55),
    ("half transparent, over white: 100 · 128/255 + 127", partial(write, ALPHA, extrasamples=["unassalpha"]),
     [220, 180], [1.0, 1.0], 1, None),
    ("planes apart", partial(write, GREY.transpose(2, 0, 1), planarconfig="separate"), [220, 180], [1.0, 1.0], 1, 200),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "size", "spacing", "levels", "value"), [one[1:] for one in LEGAL], ids=[one[0] for one in LEGAL]
)
def test_odd_slide_works(cohort, make, size, spacing, levels, value):
    make()
    assert hooknet(*CHECK).status == 0
    record = json.loads((SLIDES / "c" / "slide.json").read_text())
    assert (record["size"], record["spacing"], len(record["levels"])) == (size, spacing, levels)
    with Slide("c.tif") as slide:
        pixel = slide.read(Window(0, 0, 1, 1), (1, 1))[0, 0]
        assert value is None or pixel.tolist() == [value] * 3
        outside = slide.read(Window(-5, -5, 1, 1), (1, 1))[0, 0]
        assert outside.tolist() == [255] * 3
