"""One slide through a patch classifier: a heat map of a px per patch, and the map of the likeliest classes."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hooknet.config.datasets import SlideSettings
from hooknet.config.run import ClassifierRun
from hooknet.coordinates import RasterGrid
from hooknet.inference.made import made_of
from hooknet.inference.memory import network_budget
from hooknet.inference.patches import Batch, PatchLayout, PatchReader
from hooknet.inference.predictors import PatchProbabilities, Predictor, Shares, Work, choose_predictor
from hooknet.inference.regions import Pixels, Wanted, open_inside
from hooknet.inference.stages import Stages
from hooknet.inference.telling import progress, tell_classes
from hooknet.inference.weights import fitting_checkpoint, on_device, ready
from hooknet.inference.whole_slide import MapFiles
from hooknet.io.masks import Mask, create_mask
from hooknet.io.memory import keep_freed_memory
from hooknet.io.probabilities import create_probabilities
from hooknet.io.slides import Slide
from hooknet.models.classifier import PatchClassifier

logger = logging.getLogger(__name__)

#: Patches of a batch at most: on a processor what its caches hold (16 take a tenth longer), on a GPU what fills it.
BATCH = {"cpu": 2, "cuda": 64}
#: Bytes that a px of a patch takes in the network, at most of both backbones and engines, with all batches at work.
BYTES_PER_PIXEL = 2000


def load_classifier(run: ClassifierRun, path: Path, slide: str) -> PatchClassifier:
    """The trained classifier on the device that is there; CheckpointError unless it is this run's."""
    settings = run.settings.model_dump(mode="json")
    wanted = {key: settings[key] for key in ("model", "spacing", "patch_size", "network")}
    del wanted["network"]["weights"]  # where training started does not show in the network
    checkpoint = fitting_checkpoint(run, path, [slide], wanted)
    return ready(PatchClassifier(run.shape), checkpoint, path)


def random_classifier(run: ClassifierRun) -> PatchClassifier:
    """The run's classifier with weights drawn by its seed, for timing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        return on_device(PatchClassifier(run.shape))


def classify_patches(
    run: ClassifierRun, slide: SlideSettings, checkpoint: Path, files: MapFiles, memory: int | None = None
) -> Stages:
    """Write the heat map of a slide (``files.probabilities``) and its map.

    Of cells that what the experiment says fills enough of; the map also of those with an annotated px of
    ``files.labels``, so that none goes unscored.
    ``memory``: bytes that the process may hold, None for half of what is free; it decides how large batches are.
    """
    work = Classifying(run, load_classifier(run, checkpoint, slide.id), memory)
    return work.write(slide, replace(files, made={**made_of(run, checkpoint), "slide": slide.id}))


@dataclass
class Classifying:
    """A classifier at work: its network, and what computes it, which is chosen on the first slide and kept."""

    run: ClassifierRun
    network: PatchClassifier
    memory: int | None = None
    predictor: Predictor | None = None

    @property
    def layout(self) -> PatchLayout:
        """Which patches it sees."""
        settings = self.run.settings
        return PatchLayout(settings.patch_size, settings.cell, settings.spacing)

    @cached_property
    def batch(self) -> int:
        """As many patches as memory allows, up to BATCH; one number for all slides, as models are compiled for it."""
        device = next(self.network.parameters()).device
        budget = network_budget(device, self.memory)
        return max(1, min(BATCH[device.type], int(budget / (BYTES_PER_PIXEL * self.layout.size**2))))

    def write(self, slide: SlideSettings, files: MapFiles) -> Stages:
        """Write the heat map and the map of a slide; nothing is left behind where that fails."""
        torch.set_num_threads(self.run.settings.train.threads)
        keep_freed_memory()
        label_map, stages = self.run.dataset.label_map, Stages("patches")
        with contextlib.ExitStack() as stack:
            opened = stack.enter_context(Slide(str(slide.slide), slide.spacing_override))
            grid = self.layout.heat_grid(opened)
            wanted, shown = self._wanted(slide, opened, files, stack)
            heat = np.zeros((len(label_map), *wanted.shape), np.uint8)
            labels = np.zeros(wanted.shape, np.uint8)
            if wanted.any():
                tell = stack.enter_context(progress(slide.id, "patches"))
                self._predict(opened, wanted, (heat, labels), stages, tell)
            # A heat map must not tell a refiner where somebody annotated.
            heat *= shown
            with stages.at("write"):
                self._write(files, grid, heat, labels)
        logger.info(
            "%s: a patch of %d px every %d px; %s", slide.id, self.layout.size, self.layout.cell, stages
        )
        tell_classes(
            slide.id, label_map.names, np.bincount(labels.ravel(), minlength=len(label_map) + 1), "patches"
        )
        return stages

    def _write(
        self, files: MapFiles, grid: RasterGrid, heat: NDArray[np.uint8], labels: NDArray[np.uint8]
    ) -> None:
        label_map = self.run.dataset.label_map
        with create_mask(files.output, grid, label_map.names, label_map.palette(), files.made) as writer:
            writer.write(0, 0, labels)
            if files.probabilities is not None:
                # In place before the map is, which says that all is done.
                with create_probabilities(files.probabilities, grid, label_map.names, files.made) as bands:
                    bands.write(0, 0, heat)

    def _wanted(
        self, slide: SlideSettings, opened: Slide, files: MapFiles, stack: contextlib.ExitStack
    ) -> tuple[Pixels, Pixels]:
        """Which cells are predicted, and which of them the heat map shows: not those of ``files.labels`` alone."""
        options = self.run.settings.infer
        masks = [stack.enter_context(Mask.open(path)) for path in files.labels]
        inside = open_inside(options.over, slide, opened.size, files.tissue, self.run.name)
        if inside is not None:
            stack.enter_context(inside)
        for one in (inside, *masks):
            if one is not None:  # a cell is too coarse to see whether it is this slide's
                one.check_same_slide(opened.grid(self.layout.spacing))
        grid = self.layout.heat_grid(opened)
        shown = Wanted(inside).whole(grid, options.min_tissue)
        return shown | Wanted(inside, tuple(masks)).whole(grid, options.min_tissue), shown

    def _predict(
        self,
        slide: Slide,
        wanted: Pixels,
        onto: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        stages: Stages,
        tell: Callable[[int, int], None],
    ) -> None:
        """Fill in the wanted cells of a heat map (K, rows, columns) and a map (rows, columns)."""
        reader = PatchReader(slide, self.layout, self.batch, stages)
        count = int(np.count_nonzero(wanted))
        predictor = self._chosen(reader, wanted, stages)
        started: deque[tuple[Batch, Callable[[], Shares]]] = deque()

        def take() -> None:
            batch, result = started.popleft()
            with stages.at("network"):
                shares = result()
            rows, columns = batch.index
            onto[0][:, rows, columns] = np.rint(shares.T * 255)
            onto[1][rows, columns] = shares.argmax(axis=1) + 1
            stages.tiles += len(shares)
            tell(stages.tiles, count)

        with contextlib.closing(reader.batches(wanted)) as batches:
            for batch in batches:
                if len(started) == predictor.ahead:
                    take()
                with stages.at("network"):
                    started.append((batch, predictor.start([batch.patches])))
            while started:
                take()

    def _chosen(self, reader: PatchReader, wanted: Pixels, stages: Stages) -> Predictor:
        if self.predictor is None:
            examples = reader.spread(wanted)
            module, threads = PatchProbabilities(self.network), self.run.settings.train.threads
            calls = -(-int(np.count_nonzero(wanted)) // len(examples))
            # A stream a core: none waits for another at the end of a layer.
            work = Work(module, (self.run.shape,), calls, threads, streams=threads)
            with stages.at("network"):
                self.predictor = choose_predictor(
                    work, self.run.settings.infer, [examples], "patches of the slide"
                )
        return self.predictor
