from pathlib import Path

from made_cohort import FILES, hooknet, refuse


def test_check_says_what_would_run(cohort):
    outcome = hooknet("check", *FILES)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == (
        "dataset colon: 3 slides of 3 patients, stroma, gland\nrun unet: unet(1 µm/px) on colon\n"
    )


def test_check_says_what_a_search_would_try(cohort):
    search = (
        "search:\n  views: {dataset: colon, spacings: [1.0, 2.0, 4.0], network: {filters: 2}, budget: 1.5}\n"
    )
    Path("search.yaml").write_text(search)
    outcome = hooknet("check", "--datasets", "datasets.yaml", "--experiments", "search.yaml")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines()[1:] == [
        "search views: single views 1, 2, 4; together 1+2, 1+4, 2+4, 1+2+4; on colon, "
        "all trials within 1.5 full trainings"
    ]


def test_colours_that_some_readers_cannot_tell_apart_are_noted(cohort):
    text = Path("datasets.yaml").read_text()
    Path("datasets.yaml").write_text(text.replace("#1b6f66", "#2a9d8f"))
    outcome = hooknet("check", *FILES)
    assert outcome.status == 0
    assert outcome.out.splitlines()[1] == (
        "dataset colon: note: the colours of stroma (#e5989b) and gland (#2a9d8f) are hard to tell apart without red "
        "cones (protanopia); give one another colour in the label map"
    )


def test_missing_files_are_one_line_unless_files_do_not_matter(cohort):
    Path("a.tif").unlink()
    Path("b.xml").unlink()
    assert refuse("check", *FILES) == (
        "datasets.yaml: datasets.colon: slide 'a': slide: found no file 'a.tif'; correct the path "
        "(paths start at the working directory) (and 1 more such files)"
    )
    assert hooknet("check", "--no-files", *FILES).status == 0


def test_wrong_key_is_one_line(cohort):
    text = Path("datasets.yaml").read_text()
    Path("datasets.yaml").write_text(text.replace("colour", "color", 1))
    assert refuse("check", *FILES) == (
        "datasets.yaml: datasets.colon.classes.stroma.color: unknown key; did you mean 'colour'? "
        "possible: value, colour, groups, raster_values, order, objects (and 1 more)"
    )


def test_configuration_that_is_missing_is_one_line(cohort):
    assert refuse("check", "--datasets", "nowhere.yaml") == (
        "nowhere.yaml: there is no such file; name an existing YAML file"
    )
