"""One slide as a whole through a refiner, with the heat map of its parent."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hooknet.config.datasets import SlideSettings
from hooknet.config.run import RefinerRun
from hooknet.errors import MaskError
from hooknet.inference.made import made_of
from hooknet.inference.predictors import Predictor, Shares, SlideProbabilities, Work, choose_predictor
from hooknet.inference.regions import Pixels, Wanted, open_inside
from hooknet.inference.stages import Stages
from hooknet.inference.telling import tell_classes
from hooknet.inference.weights import fitting_checkpoint, on_device, ready
from hooknet.io.frames import Frame, as_raster, frame_of, read_heat, read_image
from hooknet.io.masks import Mask, create_mask
from hooknet.io.probabilities import Probabilities, create_probabilities
from hooknet.io.slides import Slide
from hooknet.models.refiners.table import build_refiner

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RefinerFiles:
    """The map to write, and probabilities if any; the ``heat`` map to see, if the refiner sees one.

    The ``tissue`` mask to predict within, and the label masks to cover too; what the map is ``made`` of.
    """

    output: Path
    probabilities: Path | None = None
    heat: Path | None = None
    tissue: Path | None = None
    labels: tuple[Path, ...] = ()
    made: Mapping[str, str] = field(default_factory=dict)


def load_refiner(run: RefinerRun, path: Path, slide: str) -> nn.Module:
    """The trained refiner on the device that is there; CheckpointError unless it is this run's."""
    settings = run.settings.model_dump(mode="json")
    keys = ["model", "size", "stretch", "foreground", "network"]
    if (
        run.parent is None
    ):  # else any parent will do: the number of its heat maps is that of the first tensor's channels
        keys.append("parent")
    checkpoint = fitting_checkpoint(run, path, [slide], {key: settings[key] for key in keys})
    return ready(build_refiner(run.shape), checkpoint, path)


def random_refiner(run: RefinerRun) -> nn.Module:
    """The run's refiner with weights drawn by its seed, for timing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        return on_device(build_refiner(run.shape))


def refine(run: RefinerRun, slide: SlideSettings, checkpoint: Path, files: RefinerFiles) -> Stages:
    """Write the map of a slide, and probabilities where wanted."""
    made = {**made_of(run, checkpoint), "slide": slide.id}
    return Refining(run, load_refiner(run, checkpoint, slide.id)).write(slide, replace(files, made=made))


@dataclass
class Refining:
    """A refiner at work: its network, and what computes it, which is chosen on the first slide and kept."""

    run: RefinerRun
    network: nn.Module
    predictor: Predictor | None = None

    def write(self, slide: SlideSettings, files: RefinerFiles) -> Stages:
        """Write the map of a slide, and probabilities; nothing is left behind where that fails."""
        torch.set_num_threads(self.run.settings.train.threads)
        stages, label_map = Stages("slide"), self.run.dataset.label_map
        with Slide(str(slide.slide), slide.spacing_override) as opened:
            frame = frame_of(opened, self.run.settings.size, self.run.settings.stretch)
            with stages.at("read"):
                inputs = [read_image(opened, frame)[None], *self._heat(files.heat, frame)]
                wanted = self._wanted(slide, opened, frame, files)
        with stages.at("network"):
            shares = as_raster(self._chosen(inputs).start(inputs)()[0], frame)
        stages.tiles = 1
        # What lies beside the tissue was nobody's label in training: a class there would mean nothing.
        labels = (shares.argmax(axis=0).astype(np.uint8) + 1) * wanted
        shares *= wanted
        with (
            stages.at("write"),
            create_mask(files.output, frame.grid, label_map.names, label_map.palette(), files.made) as writer,
        ):
            writer.write(0, 0, labels)
            if files.probabilities is not None:
                # In place before the map is, which says that all is done.
                self._write_probabilities(files, frame, shares)
        logger.info("%s: %d px of %.4g µm; %s", slide.id, labels.size, frame.grid.spacing, stages)
        tell_classes(slide.id, label_map.names, np.bincount(labels.ravel(), minlength=len(label_map) + 1))
        return stages

    def _heat(self, path: Path | None, frame: Frame) -> list[NDArray[np.uint8]]:
        """The heat maps (1, C, size, size) that the network sees, if it sees any."""
        parent, names = self.run.parent, self.run.dataset.label_map.names
        if parent is None:
            if path is not None:
                raise MaskError(f"{path}: run {self.run.name} sees no heat map; leave --heat out")
            return []
        if path is None:
            raise MaskError(
                f"run {self.run.name}: sees the heat map of {parent.name}, found none; "
                "give --heat (see classify-patches)"
            )
        with Probabilities.open(path) as heat:
            if heat.names != names:
                raise MaskError(
                    f"{path}: probabilities of {', '.join(heat.names)}, wanted {', '.join(names)}; "
                    f"give the heat map of run {parent.name}"
                )
            return [read_heat(heat, frame, self.run.foreground)[None]]

    def _wanted(self, slide: SlideSettings, opened: Slide, frame: Frame, files: RefinerFiles) -> Pixels:
        """Which px of the raster are predicted: what the experiment says, and all that is annotated."""
        grid = frame.grid
        with contextlib.ExitStack() as stack:
            masks = [stack.enter_context(Mask.open(path)) for path in files.labels]
            over = self.run.settings.infer.over
            inside = open_inside(over, slide, opened.size, files.tissue, self.run.name)
            if inside is not None:
                stack.enter_context(inside)
            for one in (inside, *masks):
                if one is not None:
                    one.check_same_slide(grid)
            return Wanted(inside, tuple(masks)).pixels(grid, 0, 0, grid.width, grid.height)

    def _chosen(self, inputs: list[NDArray[np.uint8]]) -> Predictor:
        if self.predictor is None:
            module = SlideProbabilities(self.network)
            work = Work(module, (self.run.shape,), 1, self.run.settings.train.threads)
            self.predictor = choose_predictor(work, self.run.settings.infer, inputs, "the slide")
        return self.predictor

    def _write_probabilities(self, files: RefinerFiles, frame: Frame, shares: Shares) -> None:
        assert files.probabilities is not None
        names = self.run.dataset.label_map.names
        with create_probabilities(files.probabilities, frame.grid, names, files.made) as bands:
            bands.write(0, 0, np.rint(shares * 255).astype(np.uint8))
