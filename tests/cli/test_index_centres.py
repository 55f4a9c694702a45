import made_slides
import numpy as np
from made_cohort import CENTRES, OUTPUT, SLIDES, hooknet, refuse, step

from hooknet.io.tables import read_centres

INDEX = SLIDES / "c" / CENTRES


def test_index_has_centres_of_every_class_with_their_pixels(cohort):
    INDEX.unlink()
    assert hooknet(*step("index-centres")).status == 0
    index = read_centres(INDEX)
    assert (index.names, index.size, index.spacing) == (("stroma", "gland"), OUTPUT, 1.0)
    assert index.table["label"].value_counts().to_dict() == {1: 50, 2: 50}
    assert set(index.table["region"]) == {0, 1}
    own = index.table.apply(lambda row: row[f"pixels_{int(row['label'])}"], axis=1)
    # At least the quarter of the patch around a corner of its region.
    assert own.between(OUTPUT**2 // 4, OUTPUT**2).all()


def test_the_same_seed_gives_the_same_file(cohort):
    before = INDEX.read_bytes()
    assert hooknet(*step("index-centres")).status == 0
    assert INDEX.read_bytes() == before


def test_slide_without_annotated_pixels_is_one_line(cohort):
    made_slides.write_mask(SLIDES / "c" / "labels.tif", np.zeros((180, 220), np.uint8), spacing=1.0)
    assert refuse(*step("index-centres")) == (
        f"{SLIDES}/c/labels.tif: found no annotated pixel, wanted some for training; "
        "annotate slide 'c' or take it out"
    )


def test_missing_mask_is_one_line(cohort):
    (SLIDES / "c" / "labels.tif").unlink()
    assert refuse(*step("index-centres")) == (
        f"{SLIDES}/c/labels.tif: no such file, wanted a single-band uint8 raster"
    )
