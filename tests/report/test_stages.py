import made_slides
import made_stages
import numpy as np
import pytest

from hooknet.config.sides import Side
from hooknet.coordinates import RasterGrid
from hooknet.io.masks import create_mask
from hooknet.io.probabilities import create_probabilities
from hooknet.report import stages
from hooknet.report.data import ReportClass

CLASSES = [ReportClass("stroma", 1, "#ff0000"), ReportClass("tumour", 2, "#0000ff")]
SIDES = {"a": Side("training"), "b": Side("validation"), "c": Side("test")}
WIDE, HIGH, SPACING = 120, 80, 0.5


def write_map(path, values, spacing):
    """A map whose px are ``values``, at a spacing of its own."""
    grid = RasterGrid.over((WIDE, HIGH), made_slides.square(SPACING), spacing)
    path.parent.mkdir(parents=True, exist_ok=True)
    with create_mask(path, grid, made_stages.NAMES, {1: (255, 0, 0), 2: (0, 0, 255)}) as writer:
        writer.write(0, 0, values)


@pytest.fixture
def refined(tmp_path, monkeypatch):
    """The slide c of 120 x 80 px with a heat map of 3 x 2 cells of 40 px, and maps of both stages."""
    monkeypatch.chdir(tmp_path)
    made_slides.write_slide(
        tmp_path / "c.tif", made_slides.coordinates_image(WIDE, HIGH, 60), spacing=SPACING
    )
    heat = np.array([[0, 100, 200], [50, 150, 250]], np.uint8)
    runs = tmp_path / "runs"
    write_map(runs / "patches" / "maps" / "c.tif", (heat > 127).astype(np.uint8) + 1, 20.0)
    write_map(runs / "refined" / "maps" / "c.tif", np.full((8, 12), 2, np.uint8), 5.0)
    grid = RasterGrid.over((WIDE, HIGH), made_slides.square(SPACING), 20.0)
    place = runs / "patches" / "probabilities" / "c.tif"
    place.parent.mkdir()
    with create_probabilities(place, grid, made_stages.NAMES) as bands:
        bands.write(0, 0, np.stack([255 - heat, heat]))
    write_map(tmp_path / "slides" / "c" / "labels.tif", np.ones((80, 120), np.uint8), 0.5)
    run = made_stages.refiner_run(made_stages.classifier_run(), foreground=["tumour"])
    return run, heat


def test_all_of_a_slides_stages_lie_over_each_other(refined, tmp_path):
    run, heat = refined
    (found,) = stages.stages([run.parent, run], SIDES, tmp_path / "slides", tmp_path / "runs")
    assert (found.system, found.parent, found.heat_class) == ("refined", "patches", "tumour")
    (one,) = found.slides
    assert one.slide == "c"
    assert one.image.shape == (HIGH, WIDE, 3)
    blown = np.kron(heat, np.ones((40, 40), np.uint8))
    assert np.array_equal(one.heat, blown)
    assert np.array_equal(one.patchwise, (blown > 127) + 1)
    assert np.array_equal(one.refined, np.full((HIGH, WIDE), 2))
    assert np.array_equal(one.truth, np.ones((HIGH, WIDE)))


def test_a_figure_has_a_row_a_slide_and_five_pictures_in_it(refined, tmp_path):
    run, _ = refined
    (found,) = stages.stages([run], SIDES, tmp_path / "slides", tmp_path / "runs")
    axes = stages.draw(found, CLASSES).axes
    assert [one.get_title() for one in axes] == ["slide", "heat map of tumour", "patches", "refined", "truth"]
    pictures = [one.images[0].get_array() for one in axes]
    assert np.array_equal(pictures[1], found.slides[0].heat)
    assert np.array_equal(pictures[3], np.broadcast_to([0, 0, 255], (HIGH, WIDE, 3)))
    assert np.array_equal(pictures[4], np.broadcast_to([255, 0, 0], (HIGH, WIDE, 3)))


def test_systems_without_heat_maps_have_no_stages(tmp_path):
    runs = [made_stages.classifier_run(), made_stages.refiner_run(), made_stages.tissue_run()]
    assert stages.stages(runs, {}, tmp_path, tmp_path) == []
