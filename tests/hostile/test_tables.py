"""Counts, probabilities, indices and weights that are damaged, met by the commands that read them."""

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
import yaml
from hostile_cases import BEST, MAP, Case, cut, refused, weights
from made_cohort import CENTRES, RUN, SLIDES, hooknet, step

from hooknet.coordinates import RasterGrid
from hooknet.io.probabilities import create_probabilities
from hooknet.io.tables import Centres, read_centres, write_centres

COUNTS = RUN / "counts" / "truth" / "c.csv"
INDEX = SLIDES / "a" / CENTRES
COMPARE, TRAIN, INFER = map(step, ("compare", "train", "infer"))
CALIBRATE = [
    "measure-calibration", "--slide", "c", "--truth", SLIDES / "c" / "truth.tif", "--probabilities", "shares.tif",
    "--output", "calibration.csv",
]  # fmt: skip


def counts(content):
    COUNTS.write_bytes(content if isinstance(content, bytes) else content.encode())


def count(old, new):
    """Other text in the counts of the slide c."""
    text = COUNTS.read_text()
    assert old in text
    counts(text.replace(old, new, 1))


def last_count(value):
    counts(COUNTS.read_text().rstrip().rpartition(",")[0] + f",{value}\n")


def shares(size=(220, 180), spacing=1.0, step=1.0, names=("stroma", "gland")):
    """Probabilities of slide c, which are noise."""
    grid = RasterGrid(*size, spacing, step, step)
    values = np.random.default_rng(0).integers(0, 256, (len(names), size[1], size[0])).astype(np.uint8)
    with create_probabilities("shares.tif", grid, names) as writer:
        writer.write(0, 0, values)


def shares_cut(share):
    shares()
    cut(Path("shares.tif"), share)


def shares_say(**changes):
    shares()
    with tifffile.TiffFile("shares.tif") as file:
        values, told = file.asarray(), json.loads(file.pages[0].description)
    tifffile.imwrite(
        "shares.tif", values, photometric="minisblack", planarconfig="separate", tile=(512, 512),
        description=json.dumps(told | changes), metadata=None,
    )  # fmt: skip


def shares_overwritten():
    shares()
    with tifffile.TiffFile("shares.tif") as file:
        start, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    content = bytearray(Path("shares.tif").read_bytes())
    content[start : start + length] = bytes(length)
    Path("shares.tif").write_bytes(content)


def index(column, value):
    """The first centre of slide a with another number in it."""
    found = read_centres(INDEX)
    table = found.table.copy()
    table[column] = table[column].astype(float if isinstance(value, float) else object)
    table.loc[0, column] = value
    if not isinstance(value, float):
        table[column] = pd.to_numeric(table[column])
    write_centres(INDEX, Centres(table, found.names, found.size, found.spacing))


def starting(make):
    """A training that starts from weights."""
    make(Path("start.ckpt"))
    document = yaml.safe_load(Path("experiments.yaml").read_text())
    document["experiments"]["unet"]["train"]["init_from"] = "start.ckpt"
    Path("experiments.yaml").write_text(yaml.safe_dump(document))


def weights_cut(path, share):
    weights(path)
    cut(path, share)


def spoilt(network):
    with torch.no_grad():
        next(iter(network.parameters())).fill_(float("nan"))


def of(path, said):
    """A line about a file, of which a part is a library's words."""
    return re.compile(f"{re.escape(str(path))}: {said}")


TRUTH = SLIDES / "c" / "truth.tif"
NOT_SHARES = (
    "shares.tif: the image description does not say 'hooknet probabilities 1' with a class per band of uint8; "
    "wanted probabilities written by this package"
)
DAMAGED = of(
    f"{TRUTH} against shares.tif", r"shares\.tif: cannot read .+; the file is damaged, make it again"
)
NO_INDEX = of(INDEX, r"not an index of patch centres \(.+\); make it again with index-centres")
NO_WEIGHTS = r"damaged or no checkpoint \(.+\); train or copy it again"
PX = f"{COUNTS}: line 7 has {{}} pixels, wanted a whole number: count again"


def no_index(said):
    return f"{INDEX}: not an index of patch centres ({said}); make it again with index-centres"


CASES = [
    Case("no counts", COUNTS.unlink, COMPARE, of(COUNTS, r"cannot be read as a table of counts \(.+\)")),
    Case("counts of no bytes", partial(counts, b""), COMPARE, f"{COUNTS}: starts with nothing, wanted slide,truth,predicted,pixels"),
    Case("counts that are no text", partial(counts, b"\xff\xfe\x00"), COMPARE,
         of(COUNTS, r"cannot be read as a table of counts \('utf-8' codec can't decode byte 0xff in position 0: .+\)")),
    Case("a NUL in counts", lambda: count("c,stroma", "c\0,stroma"), COMPARE,
         f"{COUNTS}: slide c\\x00 has 1 rows, wanted 6: the file was cut short, count again"),
    Case("counts of other columns", lambda: count("slide,", "id,"), COMPARE,
         f"{COUNTS}: starts with ['id', 'truth', 'predicted', 'pixels'], wanted slide,truth,predicted,pixels"),
    Case("a cell less", lambda: count("c,stroma,stroma,", "c,stroma,stroma"), COMPARE,
         f"{COUNTS}: line 3 has 3 cells, wanted 4: count again"),
    Case("a quote that never ends", lambda: count("c,stroma", '"c,stroma'), COMPARE,
         f"{COUNTS}: line 2 has 1 cells, wanted 4: count again"),
    Case("counts cut short", partial(cut, COUNTS, 0.6), COMPARE, re.compile(rf"{re.escape(str(COUNTS))}: (line|slide) .+ count again")),
    Case("counts of a class that is not there", lambda: count("stroma", "fat"), COMPARE,
         f"{COUNTS}: line 2 counts 'fat' as '(none)', wanted stroma, gland: count again with this label map"),
    Case("a count twice", lambda: count("c,stroma,gland", "c,stroma,stroma"), COMPARE,
         f"{COUNTS}: line 4 counts slide c, stroma as stroma twice"),
    Case("-1 px", partial(last_count, "-1"), COMPARE, PX.format("'-1'")),
    Case("half a px", partial(last_count, "1.5"), COMPARE, PX.format("'1.5'")),
    Case("2^63 px", partial(last_count, 2**63), COMPARE, PX.format(f"'{2**63}'")),
    Case("px of 5,000 digits", partial(last_count, "9" * 5000), COMPARE, PX.format(f"'{'9' * 60}'")),
    Case("px as a power", partial(last_count, "²"), COMPARE, PX.format("'²'")),
    Case("no probabilities", lambda: None, CALIBRATE, "shares.tif: no such file, wanted probabilities that infer wrote"),
    Case("probabilities of no bytes", lambda: Path("shares.tif").write_bytes(b""), CALIBRATE, re.compile(r"shares\.tif: not a readable raster .+")),
    *(Case(f"probabilities of which {share:.0%} are there", partial(shares_cut, share), CALIBRATE, DAMAGED) for share in (0.1, 0.5, 0.9, 0.99)),
    Case("a damaged tile of probabilities", shares_overwritten, CALIBRATE, DAMAGED),
    Case("a map for probabilities", lambda: Path("shares.tif").write_bytes(MAP.read_bytes()), CALIBRATE, NOT_SHARES),
    Case("probabilities of another slide", partial(shares, (100, 100)), CALIBRATE,
         f"shares.tif does not fit: {TRUTH}: covers 220 x 180 level-0 px, wanted one over 100 x 100: the rasters belong to different slides"),
    Case("probabilities of another spacing", partial(shares, spacing=2.0), CALIBRATE,
         f"shares.tif: takes a level-0 px of the slide for 2 x 2 µm, {TRUTH} for 1 x 1 µm: make both with one spacing of the slide"),
    Case("probabilities of other classes", partial(shares, names=("x", "y")), CALIBRATE,
         f"shares.tif: classes are x, y, those of {TRUTH} are stroma, gland: make both with one label map"),
    Case("probabilities of one class", partial(shares, names=("stroma",)), CALIBRATE,
         f"shares.tif: classes are stroma, those of {TRUTH} are stroma, gland: make both with one label map"),
    *(
        Case(f"probabilities that say {told}", partial(shares_say, **told), CALIBRATE, NOT_SHARES)
        for told in (
            {"spacing": float("nan")}, {"spacing": -1}, {"spacing": 10**400}, {"step": [0, 0]}, {"step": [-1, -1]},
            {"step": [float("nan"), 1]}, {"step": [float("inf"), 1]}, {"step": [1]}, {"classes": None}, {"made": [1]},
        )
    ),
    Case("probabilities 10^300 px wide", partial(shares_say, step=[1e300, 1e300], spacing=1e300), CALIBRATE,
         f"shares.tif does not fit: {TRUTH}: covers 220 x 180 level-0 px, wanted one over 2.2e+302 x 1.8e+302: the rasters belong to different slides"),
    Case("an index of no bytes", lambda: INDEX.write_bytes(b""), TRAIN, NO_INDEX),
    *(Case(f"an index of which {share:.0%} are there", partial(cut, INDEX, share), TRAIN, NO_INDEX) for share in (0.5, 0.99)),
    Case("a centre nowhere", partial(index, "x", float("nan")), TRAIN, no_index("x of row 1 is nan, wanted 0..2.14748e+09")),
    Case("a centre at infinity", partial(index, "y", float("inf")), TRAIN, no_index("y of row 1 is inf, wanted 0..2.14748e+09")),
    Case("a centre at 1e30", partial(index, "x", 1e30), TRAIN, no_index("x of row 1 is 1e+30, wanted 0..2.14748e+09")),
    Case("a centre left of the slide", partial(index, "x", -5.0), TRAIN, no_index("x of row 1 is -5, wanted 0..2.14748e+09")),
    Case("a class that is not there", partial(index, "label", 7), TRAIN, no_index("label of row 1 is 7, wanted 1..2")),
    Case("a centre without a class", partial(index, "label", 0), TRAIN, no_index("label of row 1 is 0, wanted 1..2")),
    Case("fewer px than none", partial(index, "pixels_1", -5), TRAIN, no_index("pixels_1 of row 1 is -5, wanted 0..676")),
    Case("more px than a patch has", partial(index, "pixels_2", 677), TRAIN, no_index("pixels_2 of row 1 is 677, wanted 0..676")),
    Case("px that are no number", partial(index, "pixels_1", float("nan")), TRAIN, no_index("pixels_1 of row 1 is nan, wanted 0..676")),
    Case("weights to start from of no bytes", partial(starting, lambda path: path.write_bytes(b"")), TRAIN, of("start.ckpt", NO_WEIGHTS)),
    Case("weights to start from cut short", partial(starting, partial(weights_cut, share=0.5)), TRAIN, of("start.ckpt", NO_WEIGHTS)),
    Case("weights to start from that are no numbers", partial(starting, partial(weights, change=spoilt)), TRAIN,
         "start.ckpt: tensor target.enc0.conv0.weight is not finite, wanted shape (1, 3, 3, 3); use the settings it was trained with"),
    Case("no weights", lambda: None, INFER, f"{BEST}: no such file; train the model first or give another checkpoint"),
    Case("weights of no bytes", lambda: BEST.write_bytes(b""), INFER, of(BEST, NO_WEIGHTS)),
    *(Case(f"weights of which {share:.0%} are there", partial(weights_cut, BEST, share), INFER, of(BEST, NO_WEIGHTS)) for share in (0.5, 0.99)),
    Case("weights that are no numbers", partial(weights, change=spoilt), INFER,
         f"{BEST}: tensor target.enc0.conv0.weight is not finite, wanted shape (1, 3, 3, 3); use the settings it was trained with"),
    Case("weights of other classes", partial(weights, classes=[{"name": "x"}]), INFER,
         f"{BEST}: trained with classes ['x'], run unet has ['stroma', 'gland']; train the run again or use the experiment the weights come from"),
    Case("weights of another spacing", partial(weights, settings={"model": "unet", "spacings": [2.0]}), INFER,
         f"{BEST}: trained with spacings [2.0], run unet has [1.0]; train the run again or use the experiment the weights come from"),
    Case("weights with a list for settings", partial(weights, settings=[]), INFER, f"{BEST}: damaged (settings are no mapping); train or copy it again"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_table_is_refused(cohort, case):
    refused(case)


def test_helpers_make_what_is_right(cohort):
    shares()
    weights()
    index("x", 100.0)
    assert hooknet(*CALIBRATE).status == 0
    assert hooknet(*INFER).status == 0
    read_centres(INDEX)
