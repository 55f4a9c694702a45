from pathlib import Path

import made_slides
import numpy as np
from made_cohort import SLIDES, hooknet, refuse, step

from hooknet.io.masks import Mask

OUTPUT = SLIDES / "c" / "tissue.tif"


def test_tissue_is_where_the_slide_is_coloured(cohort):
    OUTPUT.unlink()
    assert hooknet(*step("detect-tissue")).status == 0
    with Mask.open(OUTPUT) as mask:
        found = mask.read(0, 0, mask.grid.width, mask.grid.height)
        assert mask.grid.spacing == 8.0
    assert found[10, 5] == found[10, 20] == 1
    assert found[0, 0] == found[-1, -1] == 0
    # Two rectangles of 80 x 140 µm, in px of 8 µm, their border px perhaps.
    assert 2 * 9 * 16 <= found.sum() <= 2 * 11 * 19


def test_slide_of_glass_is_one_line_that_says_what_to_change(cohort):
    made_slides.write_slide(Path("c.tif"), np.full((180, 220, 3), 245, np.uint8), spacing=1.0)
    assert refuse(*step("detect-tissue")) == (
        "c.tif: found no tissue at 8 µm/px; lower the dataset's tissue.threshold or tissue.min_area_um2, "
        "or set the experiment's infer.over to everything"
    )
