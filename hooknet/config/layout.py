"""Where results are, relative to the working directory: the one place that knows.

results/demo/                        files of generated slides
results/slides/<dataset>/<slide>/    what is true of a slide, whatever looks at it
results/slides/<dataset>/splits.tsv  who trains, validates, tests
results/runs/<run>/                  weights, curves, maps, and what is measured on them, of one training
results/search/<search>/             trials, curves, ranking and decision of a search over fields of view
results/report/<dataset>/            tables, figures and the page that compare all systems
"""

from __future__ import annotations

from pathlib import Path

from hooknet.config.datasets import SPLITS_NAME, SlideSettings
from hooknet.coordinates import PatchSpec

RESULTS = Path("results")
#: The rasters a slide may have: ``labels`` from its annotation, ``truth`` from its truth.
ROLES = ("labels", "truth")


def phantom_files(slide: str) -> dict[str, Path]:
    """Where the workflow draws the files of a slide of a generated cohort."""
    folder = RESULTS / "demo"
    return {
        "slide": folder / "slides" / f"{slide}.tif",
        "annotation": folder / "annotations" / f"{slide}.xml",
        "truth": folder / "truth" / f"{slide}.tif",
    }


def slide_folder(dataset: str, slide: str) -> Path:
    """The folder of one slide."""
    return RESULTS / "slides" / dataset / slide


def splits_sheet(dataset: str) -> Path:
    """The sheet that says which slide is in which split or fold."""
    return RESULTS / "slides" / dataset / SPLITS_NAME


def centres_name(spec: PatchSpec) -> str:
    """The file name of an index: its counts depend on the output's size and spacing."""
    # Every digit: index-centres takes the spacing from here.
    spacing = repr(float(spec.target_spacing)).removesuffix(".0")
    return f"centres_{spec.output_size}px_{spacing}um.parquet"


def run_folder(run: str) -> Path:
    """The folder of one run."""
    return RESULTS / "runs" / run


def card_path(run: str) -> Path:
    """The model card of a network that gives a class per pixel."""
    return run_folder(run) / "card.md"


def overview_path(run: str) -> Path:
    """The page of all maps of a run, for slides without anything to score against."""
    return run_folder(run) / "overview.html"


def map_path(run: str, slide: str) -> Path:
    """The map of a slide."""
    return run_folder(run) / "maps" / f"{slide}.tif"


def counts_path(run: str, role: str, slide: str) -> Path:
    """The confusion counts of a slide's map against its ``labels`` or ``truth``."""
    return run_folder(run) / "counts" / role / f"{slide}.csv"


def probabilities_path(run: str, slide: str) -> Path:
    """The class probabilities of a slide, where they are kept."""
    return run_folder(run) / "probabilities" / f"{slide}.tif"


def uncertainty_path(run: str, slide: str) -> Path:
    """How sure the map of a slide is, where it is asked for."""
    return run_folder(run) / "uncertainty" / f"{slide}.tif"


def clusters_path(run: str) -> Path:
    """The clusters of training patches, where a classifier's loss weighs by them."""
    return run_folder(run) / "clusters.ckpt"


def objects_path(run: str, slide: str) -> Path:
    """The objects found on a map, where classes are declared as objects."""
    return run_folder(run) / "objects" / f"{slide}.geojson"


#: Format of an export -> how its files end.
EXPORTS = {"geojson": "geojson", "asap": "xml", "ome-tiff": "ome.tif", "colours": "colours.tif"}


def export_path(run: str, slide: str, format_: str) -> Path:
    """A map as other programs read it."""
    return run_folder(run) / "exports" / f"{slide}.{EXPORTS[format_]}"


def measures_path(run: str, kind: str, slide: str) -> Path:
    """What is measured on a map besides overlap: ``boundaries``, ``calibration``, ``quantities`` or ``matches``."""
    return run_folder(run) / kind / f"{slide}.csv"


def volume_path(run: str, volume: str) -> Path:
    """What is measured in 3D on the maps of a volume's slices."""
    return run_folder(run) / "volumes" / f"{volume}.csv"


def windows_path(run: str, role: str, slide: str) -> Path:
    """Where a slide's map agrees least and most with its ``labels`` or ``truth``."""
    return run_folder(run) / "windows" / role / f"{slide}.csv"


def search_folder(search: str) -> Path:
    """The folder of a search over fields of view."""
    return RESULTS / "search" / search


def rung_folder(search: str, trial: str, rung: int) -> Path:
    """What a trial has come to at the end of a rung: ``best.ckpt``, ``metrics.csv``, ``points.parquet``, ``state/``."""
    return search_folder(search) / "trials" / trial / f"rung{rung}"


def points_path(search: str, trial: str, rung: int) -> Path:
    """What a trial predicts of the validation centres at the end of a rung."""
    return rung_folder(search, trial, rung) / "points.parquet"


def ranking_folder(search: str) -> Path:
    """What the single views of a search tell, and the ranking of their combinations."""
    return search_folder(search) / "ranking"


def trials_path(search: str, rung: int) -> Path:
    """Which trials a rung has: those that enter the first, those that go on after the one before."""
    return search_folder(search) / "rungs" / ("entering.json" if rung == 0 else f"after{rung - 1}.json")


def rung_table_path(search: str, rung: int) -> Path:
    """How the trials of a rung but the last have done, and which of them go on."""
    return search_folder(search) / "rungs" / f"rung{rung}.csv"


def last_rung_path(search: str) -> Path:
    """How the trials of the last rung have done; the winner goes on."""
    return search_folder(search) / "last_rung.csv"


def decision_path(search: str) -> Path:
    """What a search has decided."""
    return search_folder(search) / "decision.json"


def report_folder(dataset: str) -> Path:
    """The folder of a dataset's report."""
    return RESULTS / "report" / dataset


def roles_of(slide: SlideSettings) -> tuple[str, ...]:
    """Which rasters a slide has."""
    files = {"labels": slide.annotation, "truth": slide.truth}
    return tuple(role for role, path in files.items() if path is not None)


def source_of(slide: SlideSettings, role: str) -> str | None:
    """The user's file that a raster is made from."""
    return slide.annotation if role == "labels" else slide.truth
