from made_cohort import RUN, SLIDES, hooknet, refuse, step


def test_counts_hold_every_annotated_pixel(cohort):
    output = RUN / "counts" / "truth" / "c.csv"
    before = output.read_bytes()
    output.unlink()
    assert hooknet(*step("evaluate", role="truth")).status == 0
    assert output.read_bytes() == before
    rows = [line.split(",") for line in output.read_text().splitlines()]
    assert rows[0] == ["slide", "truth", "predicted", "pixels"]
    assert sum(int(row[3]) for row in rows[1:]) == 2 * 80 * 140
    # Over tissue and all annotated pixels: nothing is left without a prediction.
    assert [row[3] for row in rows[1:] if row[2] == "(none)"] == ["0", "0"]


def test_missing_map_is_one_line(cohort):
    (RUN / "maps" / "c.tif").unlink()
    assert refuse(*step("evaluate")) == f"{RUN}/maps/c.tif: no such file, wanted a single-band uint8 raster"


def test_map_of_other_classes_is_one_line(cohort):
    arguments = step("evaluate")
    arguments[arguments.index("--truth") + 1] = SLIDES / "c" / "tissue.tif"
    assert refuse(*arguments) == (
        f"{RUN}/maps/c.tif: classes are stroma, gland, those of {SLIDES}/c/tissue.tif are tissue: "
        "make both with one label map"
    )
