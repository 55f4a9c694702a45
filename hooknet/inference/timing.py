"""How long the stages of a system take on a slide: repeated after a warm-up, from the slide's file to the map's.

As the poster's table of runtimes: patch-wise, refinement, total.  To find tissue is a stage of its own, which there is
not where a mask is given.  What is compiled, and read from disk for the first time, falls on the warm-up.
"""

from __future__ import annotations

import contextlib
import logging
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from hooknet.config.datasets import SlideSettings
from hooknet.config.run import ClassifierRun, RefinerRun
from hooknet.groundtruth.tissue import detect_tissue
from hooknet.inference.classifying import Classifying, load_classifier, random_classifier
from hooknet.inference.refining import RefinerFiles, Refining, load_refiner, random_refiner
from hooknet.inference.whole_slide import MapFiles
from hooknet.io.formats import Format
from hooknet.io.slides import Slide

TIMES = Format(
    (
        "run", "slide", "width", "height", "spacing_um", "patches", "device", "threads", "stage", "engine", "repeats",
        "mean_s", "sd_s",
    ),
    "times of stages",
    "measure again with time-stages",
)  # fmt: skip
TISSUE, PATCHES, REFINEMENT, TOTAL = "tissue", "patch-wise", "refinement", "total"


@dataclass(frozen=True)
class StageWeights:
    """The weights of a run and of its parent, if it has one; None draws them by chance, which takes as long."""

    own: Path | None
    parent: Path | None = None


@dataclass(frozen=True)
class Times:
    """Seconds of each stage by repeat, in the order of the stages; what computed it; patches that were seen."""

    seconds: dict[str, list[float]]
    engines: dict[str, str]
    patches: int

    def rows(self) -> Iterator[tuple[str, float, float | None]]:
        """Stage, mean and standard deviation (of the sample; None of one repeat), the total last."""
        total = [sum(one) for one in zip(*self.seconds.values(), strict=True)]
        for stage, seconds in (*self.seconds.items(), (TOTAL, total)):
            yield stage, statistics.fmean(seconds), statistics.stdev(seconds) if len(seconds) > 1 else None


@dataclass(frozen=True)
class System:
    """What is timed on a slide: a classifier, a refiner, or a refiner after its parent."""

    slide: SlideSettings
    tissue: Path | None
    classifying: Classifying | None
    refining: Refining | None

    def once(self, folder: Path) -> tuple[dict[str, float], int]:
        """Seconds of each stage, whose files go into a folder; and how many patches were seen."""
        found: dict[str, float] = {}
        tissue, heat, patches = self.tissue, None, 0
        if tissue is None and self._over_tissue():
            tissue = folder / "tissue.tif"
            with _timed(found, TISSUE), Slide(str(self.slide.slide), self.slide.spacing_override) as opened:
                detect_tissue(opened, **self._run.dataset.tissue.model_dump(), path=tissue)
        if self.classifying is not None:
            heat = folder / "heat.tif"
            with _timed(found, PATCHES):
                files = MapFiles(folder / "patches.tif", heat, tissue, ())
                patches = self.classifying.write(self.slide, files).tiles
        if self.refining is not None:
            with _timed(found, REFINEMENT):
                self.refining.write(self.slide, RefinerFiles(folder / "map.tif", None, heat, tissue))
        return found, patches

    @property
    def _run(self) -> ClassifierRun | RefinerRun:
        """The run that ends the line."""
        last = self.refining or self.classifying
        assert last is not None
        return last.run

    def _over_tissue(self) -> bool:
        """Whether some stage predicts over tissue."""
        stages = [one.run.settings for one in (self.classifying, self.refining) if one is not None]
        return any(one.predicts_over == "tissue" for one in stages)

    @property
    def engines(self) -> dict[str, str]:
        """What computes each stage, once it has been chosen."""
        at_work = {PATCHES: self.classifying, REFINEMENT: self.refining}
        return {
            stage: f"{one.predictor.name}, {one.predictor.precision}"
            for stage, one in at_work.items()
            if one is not None and one.predictor is not None
        }


def system_of(
    run: ClassifierRun | RefinerRun, slide: SlideSettings, weights: StageWeights, tissue: Path | None
) -> System:
    """What a run is on a slide; ``tissue`` None finds it each time, where it is needed.

    CheckpointError for weights of other runs.
    """
    if isinstance(run, ClassifierRun):
        return System(slide, tissue, _classifying(run, weights.own, slide.id), None)
    parent = None if run.parent is None else _classifying(run.parent, weights.parent, slide.id)
    network = random_refiner(run) if weights.own is None else load_refiner(run, weights.own, slide.id)
    return System(slide, tissue, parent, Refining(run, network))


def _classifying(run: ClassifierRun, file: Path | None, slide: str) -> Classifying:
    return Classifying(run, random_classifier(run) if file is None else load_classifier(run, file, slide))


def time_stages(system: System, repeats: int, progress: Callable[[int], None] = lambda done: None) -> Times:
    """Run the stages once to warm up, and then so many times; ``progress`` is told how many are done."""
    measured: list[dict[str, float]] = []
    patches = 0
    for number in range(repeats + 1):
        with tempfile.TemporaryDirectory() as folder, _quiet(number > 0):
            found, patches = system.once(Path(folder))
        if number > 0:
            measured.append(found)
        progress(number)
    stages = {stage: [one[stage] for one in measured] for stage in measured[0]}
    return Times(stages, system.engines, patches)


def write_times(path: Path, times: Times, run: ClassifierRun | RefinerRun, slide: SlideSettings) -> None:
    """Write a row a stage, the total last."""
    with Slide(str(slide.slide), slide.spacing_override) as opened:
        about = [run.name, slide.id, *opened.size, str(opened.spacing)]
    about += [times.patches, device_name(), run.settings.train.threads]
    repeats = len(next(iter(times.seconds.values())))
    TIMES.write(
        path,
        (
            [
                *about,
                stage,
                times.engines.get(stage, ""),
                repeats,
                f"{mean:.4f}",
                "" if sd is None else f"{sd:.4f}",
            ]
            for stage, mean, sd in times.rows()
        ),
    )


def device_name() -> str:
    """The GPU's name, or the processor's."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


@contextlib.contextmanager
def _timed(found: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    found[stage] = time.perf_counter() - start


@contextlib.contextmanager
def _quiet(wanted: bool) -> Iterator[None]:
    """Leave out what stages tell of a slide, which the first run has told."""
    before = logging.root.manager.disable
    if wanted:
        logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
