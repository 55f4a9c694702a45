"""A whole run of the workflow in a folder, and on files, whose names a shell would obey."""

import csv

import made_cohort
import made_config
import made_workflow
import numpy as np
import pytest
import yaml
from made_cohort import HEIGHT, WIDTH

from hooknet.io.masks import Mask

#: What is a command, a variable, an option, a wildcard or an escape for somebody on the way.
ODD = 'it\'s "a b" $(touch pwned1) `touch pwned2`; touch pwned3 & $HOME %s #1 ü *'
FILES = {"slide": f"slides/{{id}} {ODD}.tif", "annotation": f"-{{id}} {ODD}.xml"}


def cohort(folder):
    """Slides and annotations of odd names, whose patients and grades are odd too."""
    made_cohort.write(folder)
    (folder / "config").mkdir()
    (folder / "slides").mkdir()
    for name in "abc":
        for key, suffix in (("slide", "tif"), ("annotation", "xml")):
            (folder / f"{name}.{suffix}").rename(folder / FILES[key].replace("{id}", name))
    truth = f"{ODD}.png"
    (folder / "c.png").rename(folder / truth)
    rows = [{**one, "patient": f"{one['id']} {ODD}", "grade": ODD} for one in made_config.SLIDES]
    rows[2]["truth"] = truth
    dataset = {**made_cohort.settings(), "files": FILES, "slides": rows, "report": {"patients": True}}
    experiments = made_config.merged(
        made_cohort.EXPERIMENTS["unet"],
        {"infer": {"tile": 76, "probabilities": True, "exports": ["geojson", "asap"]}},
    )
    for name, content in (
        ("datasets", {"datasets": {"colon": dataset}}),
        ("experiments", {"experiments": {"unet": experiments}}),
    ):
        (folder / "config" / f"{name}.yaml").write_text(yaml.safe_dump(content, allow_unicode=True))
        (folder / f"{name}.yaml").unlink()


@pytest.mark.slow
def test_names_that_a_shell_would_obey_are_only_names(tmp_path):
    folder = tmp_path / f"{{x}} {ODD} {{{{y}}}}"
    folder.mkdir()
    cohort(folder)
    given = {path.name for path in folder.iterdir()}
    found = made_workflow.snakemake(folder)
    assert found.returncode == 0, found.stdout
    assert made_workflow.jobs(folder) == {}, "everything is there"
    assert list(tmp_path.iterdir()) == [folder]
    assert {path.name for path in folder.iterdir()} == given | {"results", ".snakemake"}
    assert [path for path in tmp_path.rglob("*") if path.name.startswith("pwned")] == []
    run, report = folder / "results" / "runs" / "unet", folder / "results" / "report" / "colon"
    assert {path.name for path in (run / "exports").iterdir()} == {"c.geojson", "c.xml"}
    with Mask.open(folder / "results" / "slides" / "colon" / "c" / "truth.tif") as mask:
        assert np.array_equal(mask.read(0, 0, WIDTH, HEIGHT), made_cohort.truth())
    for role in ("labels", "truth"):
        with (run / "counts" / role / "c.csv").open() as file:
            assert sum(int(row["pixels"]) for row in csv.DictReader(file)) == 2 * 80 * 140
    with (report / "comparison" / "truth_slide_scores.csv").open() as file:
        assert [row["patient"] for row in csv.DictReader(file)] == [f"c {ODD}"]
    assert (report / "index.html").is_file()
