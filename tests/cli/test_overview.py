import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from made_cohort import FILES, RUN, SLIDES, hooknet, refuse

from hooknet.io.skipped import write_reason
from hooknet.objects.quantities import read_quantities

PAGE = RUN / "overview.html"
ARGUMENTS = (
    "overview", "--run", "unet", "--checkpoint", RUN / "best.ckpt", "--splits", SLIDES / "splits.tsv",
    "--slides-folder", SLIDES, "--run-folder", RUN, "--output", PAGE, *FILES,
)  # fmt: skip
pytestmark = pytest.mark.usefixtures("cohort")


def cells(page):
    """Texts of all cells of all tables."""
    found = []

    class Cells(HTMLParser):
        def handle_starttag(self, tag, attrs):
            self.inside = tag == "td"
            if self.inside:
                found.append("")

        def handle_endtag(self, tag):
            self.inside = False

        def handle_data(self, data):
            if getattr(self, "inside", False):
                found[-1] += data

    Cells().feed(page)
    return found


def test_the_page_shows_maps_areas_and_card_and_needs_nothing_else():
    assert hooknet(*ARGUMENTS).status == 0
    page = PAGE.read_text()
    assert "<title>c</title>" in page
    assert len(re.findall("background-image: url\\(data:image/jpeg", page)) == 1
    areas = read_quantities(RUN / "quantities/c.csv")["c"]
    total = sum(areas[name].area_mm2 for name in ("stroma", "gland"))
    found = cells(page)
    for name in ("stroma", "gland"):
        start = found.index(name)
        assert found[start + 1] == f"{areas[name].area_mm2:.3f}"
        assert found[start + 2] == f"{100 * areas[name].area_mm2 / total:.1f} %"
        assert found[start + 3] == f"{100 * areas[name].tissue_share:.1f} %"
    assert "Intended use and limits" in page
    assert not re.search(r"https?://", re.sub(r"data:[^\"')]+", "", page))
    assert set(re.findall(r'(?:src|href)="([^"#d][^"]*)"', page)) == set()


def test_the_same_results_give_the_same_page():
    assert hooknet(*ARGUMENTS).status == 0
    before = PAGE.read_bytes()
    assert hooknet(*ARGUMENTS).status == 0
    assert PAGE.read_bytes() == before


def test_skipped_slides_are_listed_with_why():
    document = yaml.safe_load(Path("datasets.yaml").read_text())
    Path("datasets.yaml").write_text(yaml.safe_dump({"on_error": "skip", **document}))
    write_reason(RUN / "maps/c.tif", "infer: deep/c.tif: torn")
    assert hooknet(*ARGUMENTS).status == 0
    page = PAGE.read_text()
    assert "<title>0 slides predicted</title>" in page
    assert "<td>c</td><td>run unet: infer: c.tif: torn</td>" in page


def test_a_missing_map_is_one_line():
    (RUN / "maps/c.tif").unlink()
    assert refuse(*ARGUMENTS).startswith(f"{RUN}/maps/c.tif: no such file")


def test_of_a_mean_all_weights_and_the_uncertainty_are_shown(monkeypatch):
    from dataclasses import replace

    from hooknet.config.project import Project
    from hooknet.coordinates import RasterGrid
    from hooknet.io.masks import Mask
    from hooknet.io.uncertainty import create_uncertainty

    with Mask.open(RUN / "maps/c.tif") as mask:
        grid: RasterGrid = mask.grid
    (RUN / "uncertainty").mkdir()
    with create_uncertainty(RUN / "uncertainty/c.tif", grid, ("entropy",)) as writer:
        writer.write(0, 0, np.full((1, grid.height, grid.width), 1 + 254 // 2, np.uint8))
    shutil.copy(RUN / "best.ckpt", "copy.ckpt")
    run = Project.run

    def of_two(self, name):
        found = run(self, name)
        infer = found.settings.infer.model_copy(update={"probabilities": True, "uncertainty": True})
        settings = found.settings.model_copy(update={"infer": infer})
        return replace(found, settings=settings, members=(RUN / "best.ckpt", Path("copy.ckpt")))

    monkeypatch.setattr(Project, "run", of_two)
    assert hooknet(*ARGUMENTS).status == 0
    page = PAGE.read_text()
    assert "By the mean of 2 weights (unet), unet(1 µm/px)." in page
    assert "Uncertainty <small>mean 0.50</small>" in page
    (RUN / "uncertainty/c.tif").unlink()
    assert refuse(*ARGUMENTS).startswith(f"{RUN}/uncertainty/c.tif: no such file, wanted uncertainty")


@pytest.mark.parametrize(("change", "of"), [(("c,", "x,"), "stroma"), (("gland", "glands"), "gland")])
def test_quantities_of_something_else_are_one_line(change, of):
    table = RUN / "quantities/c.csv"
    table.write_text(table.read_text().replace(*change))
    assert refuse(*ARGUMENTS) == f"{table}: tells nothing of {of} of slide c; make it again with quantify"
