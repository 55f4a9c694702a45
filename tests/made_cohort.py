"""A cohort of three tiny slides as files, and the command line of every step on it."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import made_config
import made_slides
import numpy as np
from PIL import Image

from hooknet.cli.main import main

WIDTH, HEIGHT = 220, 180
# Stroma on the left, gland on the right, glass around both.
STROMA, GLAND = (20, 20, 100, 160), (120, 20, 200, 160)
PATCH, OUTPUT = 44, 26
NETWORK = {"filters": 1, "depth": 1}
TRAIN = {
    "epochs": 1,
    "steps": 2,
    "batch": 2,
    "learning_rate": 1e-3,
    "validation_patches": 4,
    "threads": 1,
    "workers": 0,
}
EXPERIMENTS = {
    "unet": made_config.experiment(
        spacings=[1.0], patch_size=PATCH, network=NETWORK, train=TRAIN, infer={"tile": 76}
    )
}
CENTRES = f"centres_{OUTPUT}px_1um.parquet"


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str


def hooknet(*arguments: object) -> Outcome:
    """Run the command line in this process, through its own front door."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with (
        mock.patch.object(sys, "argv", ["hooknet", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as exit:
            status = exit.code if isinstance(exit.code, int) else 1
    return Outcome(status, out.getvalue(), err.getvalue())


def refuse(*arguments: object) -> str:
    """The one line with which a command ends in exit status 2, leaving every file as it was."""
    before = snapshot(Path())
    outcome = hooknet(*arguments)
    assert outcome.status == 2, outcome
    assert snapshot(Path()) == before, "a file was left behind or changed"
    assert outcome.err.startswith("hooknet: ")
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith("\n")
    return outcome.err.removeprefix("hooknet: ").removesuffix("\n")


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with its size and time; lock files, which are empty for ever, do not count."""
    stats = {
        path: path.stat() for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"
    }
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def polygon(group: str, box: tuple[int, int, int, int], name: str = "a") -> str:
    left, top, right, bottom = box
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return annotation(group, corners, name)


def annotation(group: str, points: list[tuple[float, float]], name: str = "a", kind: str = "Polygon") -> str:
    rows = "".join(f'<Coordinate Order="{place}" X="{x}" Y="{y}"/>' for place, (x, y) in enumerate(points))
    return (
        f'<Annotation Name="{name}" Type="{kind}" PartOfGroup="{group}" Color="#F4FA58">'
        f"<Coordinates>{rows}</Coordinates></Annotation>"
    )


def asap(*annotations: str) -> str:
    """An ASAP file."""
    return (
        '<?xml version="1.0"?>\n<ASAP_Annotations><Annotations>'
        f"{''.join(annotations)}</Annotations><AnnotationGroups/></ASAP_Annotations>\n"
    )


def image(seed: int) -> np.ndarray:
    """Pink on the left, violet on the right, a little noise, white around."""
    pixels = np.full((HEIGHT, WIDTH, 3), 250, np.int64)
    for (left, top, right, bottom), colour in ((STROMA, (220, 130, 170)), (GLAND, (110, 60, 150))):
        pixels[top:bottom, left:right] = colour
    noise = np.random.default_rng(seed).integers(-5, 6, pixels.shape)
    return (pixels + noise).clip(0, 255).astype(np.uint8)


def truth() -> np.ndarray:
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    for (left, top, right, bottom), value in ((STROMA, 1), (GLAND, 2)):
        values[top:bottom, left:right] = value
    return values


def settings() -> dict[str, object]:
    rows = [*made_config.SLIDES[:2], {**made_config.SLIDES[2], "truth": "c.png"}]
    # A slide of 220 µm has little tissue.
    return made_config.dataset(
        slides=rows, tissue={"min_area_um2": 100, "close_um": 0}, centres={"per_class": 50}
    )


def write(folder: Path) -> None:
    """Slides of 1 µm/px, their annotations, the truth of the test slide and both configuration files."""
    for number, name in enumerate("abc"):
        made_slides.write_slide(folder / f"{name}.tif", image(number), spacing=1.0)
        (folder / f"{name}.xml").write_text(asap(polygon("stroma", STROMA), polygon("gland", GLAND)))
    Image.fromarray(truth()).save(folder / "c.png")
    made_config.write(folder, {"colon": settings()}, EXPERIMENTS)


FILES = ("--datasets", "datasets.yaml", "--experiments", "experiments.yaml")
SLIDES = Path("results/slides/colon")
RUN = Path("results/runs/unet")
REPORT = Path("results/report/colon")
# Commands that need no configuration.
OF_RASTERS = ("evaluate", "measure-boundaries", "quantify")


def step(name: str, slide: str = "c", role: str = "labels") -> list[object]:
    """The arguments of a command on one slide, with the workflow's own paths."""
    folder = SLIDES / slide
    about = ["--dataset", "colon", "--slide", slide]
    of_run = ["--run", "unet"]
    source = f"{slide}.png" if role == "truth" else folder / "labels.geojson"
    arguments: dict[str, list[object]] = {
        "check-slide": [*about, "--output", folder / "slide.json"],
        "read-annotations": [*about, "--annotation", f"{slide}.xml", "--output", folder / "labels.geojson"],
        "rasterise": [
            *about, "--source", source, "--output", folder / f"{role}.tif", "--counts", folder / f"{role}.json",
        ],
        "detect-tissue": [*about, "--output", folder / "tissue.tif"],
        "index-centres": [
            *about, "--labels", folder / "labels.tif", "--spacing", 1.0, "--size", OUTPUT, "--output", folder / CENTRES,
        ],
        "make-splits": ["--dataset", "colon", "--slides-folder", SLIDES, "--output", SLIDES / "splits.tsv"],
        "train": [
            *of_run, "--slides-folder", SLIDES, "--splits", SLIDES / "splits.tsv", "--best", RUN / "best.ckpt",
            "--last", RUN / "last.ckpt", "--metrics", RUN / "metrics.csv", "--state", RUN / "state",
        ],
        "infer": [
            *of_run, "--slide", slide, "--checkpoint", RUN / "best.ckpt", "--output", RUN / "maps" / f"{slide}.tif",
            "--tissue", folder / "tissue.tif", "--labels", folder / "labels.tif", "--labels", folder / "truth.tif",
        ],
        "evaluate": [
            "--slide", slide, "--truth", folder / f"{role}.tif", "--prediction", RUN / "maps" / f"{slide}.tif",
            "--output", RUN / "counts" / role / f"{slide}.csv",
            "--windows", RUN / "windows" / role / f"{slide}.csv",
        ],
        "measure-boundaries": [
            "--slide", slide, "--truth", folder / "truth.tif", "--prediction", RUN / "maps" / f"{slide}.tif",
            "--output", RUN / "boundaries" / f"{slide}.csv",
        ],
        "quantify": [
            "--slide", slide, "--map", RUN / "maps" / f"{slide}.tif", "--tissue", folder / "tissue.tif",
            "--output", RUN / "quantities" / f"{slide}.csv",
        ],
        "compare": [
            "--dataset", "colon", "--splits", SLIDES / "splits.tsv", "--runs-folder", "results/runs",
            "--output", REPORT / "comparison",
        ],
        "report": [
            "--dataset", "colon", "--splits", SLIDES / "splits.tsv", "--slides-folder", SLIDES,
            "--runs-folder", "results/runs", "--output", REPORT,
        ],
    }  # fmt: skip
    return [name, *arguments[name], *(() if name in OF_RASTERS else FILES)]


def all_steps() -> list[list[object]]:
    """Every command of a complete run, in order."""
    of_slides = [
        step(name, slide)
        for name in ("check-slide", "read-annotations", "rasterise", "index-centres")
        for slide in "abc"
    ]
    return [
        *of_slides,
        step("rasterise", role="truth"),
        step("detect-tissue"),
        *map(step, ("make-splits", "train", "infer", "evaluate")),
        step("evaluate", role="truth"),
        *map(step, ("measure-boundaries", "quantify", "compare", "report")),
    ]
