"""What a job asks a cluster for, from what it processes.

The figures are those of docs/performance.md, which says how they were measured: two cores, no GPU.  On a GPU jobs need
less time than is asked for; how much less was not measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Final

from hooknet.config.classifier import ClassifierTrainOptions
from hooknet.config.dense import TrainOptions
from hooknet.config.refiner import RefinerTrainOptions
from hooknet.config.run import ClassifierRun, DenseRun, RefinerRun, Run
from hooknet.shapes.memory import BESIDES, tile_bytes
from hooknet.shapes.tiles import Tile

MB: Final = 1e6
#: Multiply-accumulate operations a second of one core: half of what inference reached on one (65 GMAC/s of two), and
#: of what a training step did (12 to 20 GMAC/s of two, at three times the operations of a forward pass).
INFER_RATE: Final = 16e9
TRAIN_RATE: Final = 3e9
#: Of a patch classifier's inference: half of 27 GMAC/s a core.
CLASSIFY_RATE: Final = 13e9
#: Level-0 px that a MB of a slide's file holds at most where it is tissue, and their usual spacing in µm/px.  An
#: assumption: JPEG takes a byte for 3 to 10 px of tissue, and next to none for glass.
PX_PER_MB: Final = 10e6
SPACING: Final = 0.25
#: Bytes of training per number of a patch's feature maps: kept for the way back, with gradients (28 MiB a patch of the
#: demo's HookNet, 1.2 million numbers); and per trained number, with what the optimiser keeps.
TRAINING_BYTES_PER_VALUE: Final = 26
BYTES_PER_WEIGHT: Final = 16
#: MB of a process of torch, with what a GPU's libraries take; and of one that reads patches.
PROCESS_MB: Final = 4000.0
WORKER_MB: Final = 600
CLASSIFIER_PATCH_MB: Final = 100.0
REFINER_MB: Final = 16000.0
#: Seconds to decode a level-0 px, with what lays tiles onto regions (33 ns, docs/performance.md).
DECODING: Final = 33e-9
#: MB for inference: what tiles may take besides.  The network decides where its smallest tile takes more.
INFER_MB: Final = 8000.0
STAGE_MB: Final = 4000.0
#: Target px of the tile that the work of a px of a map is taken of.
TILE: Final = 1244
#: Min: three days, more than which few clusters give.  A training goes on where it was cut off.
LONGEST: Final = 4320
START: Final = 10


def longer(minutes: float, attempt: int) -> int:
    """Min to ask for at an attempt: twice as many at the second, three times at the third, up to LONGEST."""
    return min(LONGEST, ceil(minutes * attempt))


def more(mb: float, attempt: int) -> int:
    """MB to ask for at an attempt: twice as many at the second, three times at the third."""
    return ceil(mb * attempt)


@dataclass(frozen=True)
class Needs:
    """What training and inference of a run need, whatever its kind."""

    run: Run

    @property
    def train_nodes(self) -> int:
        """Machines that train together."""
        return self._options.nodes

    @property
    def train_devices(self) -> int:
        """Processes on each of them, and GPUs; ``auto`` is one: it takes what a job has, which asks for this."""
        devices = self._options.devices
        return 1 if devices == "auto" else devices

    @property
    def train_cores(self) -> int:
        """Of one process of a training: those of the network, and one for each process that reads patches."""
        options = self._options
        return options.threads + (0 if isinstance(options, RefinerTrainOptions) else options.workers)

    @cached_property
    def train_mb(self) -> float:
        """MB of a training on each machine, if on processors; on a GPU the feature maps are in its own memory."""
        run = self.run
        if not isinstance(run, (DenseRun, ClassifierRun)):
            # Each process holds all slides.
            return self.train_devices * REFINER_MB
        options = run.settings.train
        reading = options.workers * (WORKER_MB + options.cache_mb) + options.cache_mb
        weights = run.parameter_count * BYTES_PER_WEIGHT / MB
        patch = CLASSIFIER_PATCH_MB if isinstance(run, ClassifierRun) else _patch_mb(run)
        shared = options.batch / self.train_nodes * patch
        return self.train_devices * (PROCESS_MB + reading + weights) + shared

    @cached_property
    def train_minutes(self) -> float:
        """Min of a training on the cores it has: each step forward and back, validation forward, in shares."""
        run = self.run
        if not isinstance(run, (DenseRun, ClassifierRun)):
            return LONGEST
        options = run.settings.train
        patches = options.epochs * (3 * options.steps * options.batch + options.validation_patches)
        rate = TRAIN_RATE * options.threads * self.train_devices * self.train_nodes
        return START + patches * _patch_work(run) / rate / 60

    @property
    def _options(self) -> TrainOptions | ClassifierTrainOptions | RefinerTrainOptions:
        assert isinstance(self.run, (DenseRun, ClassifierRun, RefinerRun))
        return self.run.settings.train

    @cached_property
    def infer_mb(self) -> float:
        """MB that inference plans with: never less than its smallest tile needs."""
        if not isinstance(self.run, DenseRun):
            return STAGE_MB
        shape = self.run.network.shape
        smallest = next(iter(shape.tiles(self.run.settings.infer.rim)))
        members = max(1, len(self.run.members))
        return max(INFER_MB, (BESIDES + members * tile_bytes(shape, smallest)) / MB)

    def infer_minutes(self, inputs_mb: float) -> float:
        """Min of a map of a slide, if all that its file shows is predicted; ``inputs_mb``: of the file."""
        return START + inputs_mb * PX_PER_MB * self._seconds_per_pixel / 60

    @cached_property
    def _seconds_per_pixel(self) -> float:
        """Of a level-0 px of a slide, on the cores that the run has."""
        run = self.run
        if isinstance(run, DenseRun):
            shape = run.network.shape
            work = run.passes * shape.work_per_pixel(shape.tile(TILE, run.settings.infer.rim))
            rate, spacing = INFER_RATE * run.settings.train.threads, shape.settings.spacings[0]
        elif isinstance(run, ClassifierRun):
            work = run.shape.multiply_accumulates / run.settings.cell**2
            rate, spacing = CLASSIFY_RATE * run.settings.train.threads, run.settings.spacing
        else:
            return DECODING
        return DECODING + work * (SPACING / spacing) ** 2 / rate


def _patch_work(run: DenseRun | ClassifierRun) -> int:
    """Multiply-accumulate operations of a patch with its contexts, forward."""
    if isinstance(run, ClassifierRun):
        return run.shape.multiply_accumulates
    return run.network.shape.multiply_accumulates()


def _patch_mb(run: DenseRun) -> float:
    """MB of a patch's feature maps, kept for the way back."""
    shape = run.network.shape
    views = (shape.settings.patch_size,) * len(shape.settings.spacings)
    return shape.tile_values(Tile(views, shape.output_size())) * TRAINING_BYTES_PER_VALUE / MB
