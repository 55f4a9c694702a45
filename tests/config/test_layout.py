from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hooknet.config import layout
from hooknet.config.datasets import SlideSettings
from hooknet.coordinates import PatchSpec


def test_places_of_results_are_fixed():
    assert layout.slide_folder("d", "s") == Path("results/slides/d/s")
    assert layout.splits_sheet("d") == Path("results/slides/d/splits.tsv")
    assert layout.run_folder("r") == Path("results/runs/r")
    assert layout.map_path("r", "s") == Path("results/runs/r/maps/s.tif")
    assert layout.counts_path("r", "truth", "s") == Path("results/runs/r/counts/truth/s.csv")
    assert layout.volume_path("r", "v") == Path("results/runs/r/volumes/v.csv")
    assert layout.report_folder("d") == Path("results/report/d")


def test_index_is_called_by_what_its_counts_depend_on():
    assert layout.centres_name(PatchSpec(284, 70, (0.5, 8.0))) == "centres_70px_0.5um.parquet"
    assert layout.centres_name(PatchSpec(284, 70, (2.0,))) == "centres_70px_2um.parquet"


def test_spacings_that_differ_give_indices_that_differ():
    names = {layout.centres_name(PatchSpec(284, 70, (spacing,))) for spacing in (0.5, 0.5000001, 0.50000011)}
    assert len(names) == 3


@given(st.floats(0.02, 50))
def test_spacing_can_be_read_back_from_the_name_exactly(spacing):
    name = layout.centres_name(PatchSpec(284, 70, (spacing,)))
    assert float(name.removeprefix("centres_70px_").removesuffix("um.parquet")) == spacing


def test_roles_are_those_a_slide_has_files_for():
    both = SlideSettings(id="a", annotation="a.xml", truth="a.png")
    assert layout.roles_of(both) == ("labels", "truth")
    assert [layout.source_of(both, role) for role in layout.ROLES] == ["a.xml", "a.png"]
    assert layout.roles_of(SlideSettings(id="a", truth="a.png")) == ("truth",)
    assert layout.roles_of(SlideSettings(id="a")) == ()


def test_phantoms_are_drawn_to_fixed_places():
    assert {key: str(path) for key, path in layout.phantom_files("s").items()} == {
        "slide": "results/demo/slides/s.tif",
        "annotation": "results/demo/annotations/s.xml",
        "truth": "results/demo/truth/s.tif",
    }
