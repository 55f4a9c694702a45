"""Which engine computes a slide: the fastest of those that are there and agree with the network."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch

from hooknet.config.experiments import InferOptions
from hooknet.errors import CheckpointError
from hooknet.inference import openvino_engine
from hooknet.inference.agreement import compared
from hooknet.inference.engines import Engine, Precision, TorchEngine, Views
from hooknet.inference.openvino_engine import OpenVinoEngine
from hooknet.models.network import Network
from hooknet.shapes.tiles import Tile

logger = logging.getLogger(__name__)

#: Multiply-accumulates of a slide from which on compiling pays: some 20 s of torch on two cores.
WORTH_COMPILING = 2e11


@dataclass(frozen=True)
class Candidate:
    """An engine that could be made, and how."""

    name: str
    precision: Precision
    make: Callable[[], Engine]


def _kind(network: Network, options: InferOptions) -> str:
    """``torch`` or ``openvino``."""
    on_processor = next(network.parameters()).device.type == "cpu"
    if options.engine == "auto":
        return "openvino" if on_processor and openvino_engine.is_installed() else "torch"
    return options.engine


@dataclass(frozen=True)
class Job:
    """What an engine is chosen for: the ``tile``, how many ``tiles``, the ``threads`` to use.

    ``shares``: whether probabilities are wanted.
    """

    tile: Tile
    tiles: int
    threads: int
    shares: bool


def candidates(network: Network, job: Job, options: InferOptions) -> Iterator[Candidate]:
    """Engines in the order in which they are preferred.  CheckpointError where a wanted one cannot be."""
    device, tile, shares = next(network.parameters()).device, job.tile, job.shares
    kind = _kind(network, options)
    small = network.shape.tile_work(tile) * job.tiles < WORTH_COMPILING
    if options.engine == "auto" and options.precision != "bf16" and small:
        kind = "torch"
    _check_possible(device, kind, options)
    half = _has_bf16(device, kind)
    for precision in _precisions(options, half):
        if kind == "openvino":
            make: Callable[[], Engine] = partial(
                OpenVinoEngine, network, tile, shares, precision, job.threads
            )
            yield Candidate("OpenVINO", precision, make)
        else:
            yield Candidate("torch", precision, partial(TorchEngine, network, tile, shares, precision))
    if options.engine == "auto" and kind == "openvino" and options.precision != "bf16":
        yield Candidate("torch", "fp32", partial(TorchEngine, network, tile, shares, "fp32"))


def choose(network: Network, job: Job, options: InferOptions, views: Views) -> Engine:
    """The first candidate that agrees with the network on a tile (see :mod:`hooknet.inference.agreement`).

    ``views`` are those of a tile with much in it.  CheckpointError when none agrees.
    """
    told = []
    for one in candidates(network, job, options):
        try:
            engine = one.make()
            if isinstance(engine, TorchEngine) and one.precision == "fp32":
                logger.info("%s, fp32", engine.name)
                return engine  # it is what the others are compared with
            predicted = engine.start(views, logits=True)()
        except (RuntimeError, ImportError) as error:  # a compiler's own: the next candidate can do without it
            told.append(f"{one.name} in {one.precision} failed ({' '.join(str(error).split())[:200]})")
            logger.warning("%s; trying the next engine", told[-1])
            continue
        found = compared(network, job.tile, predicted, views)
        if found.suffices(one.precision):
            logger.info(
                "%s, %s: as torch in fp32 on a tile: probabilities within %.1g, same class in %.3f %%",
                engine.name, one.precision, found.difference, 100 * found.share,
            )  # fmt: skip
            return engine
        told.append(
            f"{one.name} in {one.precision} differs from torch in fp32 by {found.difference:.2g} in a probability, "
            f"{100 * (1 - found.share):.3f} % of px have another class"
        )
        logger.warning("%s; not used", told[-1])
        del engine, predicted  # before the next takes as much
    raise CheckpointError(
        f"infer.engine {options.engine}, infer.precision {options.precision}: {'; '.join(told)}; set both to auto"
    )


def _precisions(options: InferOptions, half: bool) -> tuple[Precision, ...]:
    if options.precision == "auto":
        return ("bf16", "fp32") if half else ("fp32",)
    return (options.precision,)


def _has_bf16(device: torch.device, kind: str) -> bool:
    if kind == "openvino":
        with contextlib.suppress(ImportError):  # told where the engine is made
            return openvino_engine.has_bf16()
        return False
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def _check_possible(device: torch.device, kind: str, options: InferOptions) -> None:
    if kind == "openvino" and not openvino_engine.is_installed():
        raise CheckpointError(
            f"infer.engine openvino: the package is not installed; {openvino_engine.INSTALL}, or set it to auto"
        )
    if kind == "openvino" and device.type != "cpu":
        raise CheckpointError(
            f"infer.engine openvino: found a {device.type} device, on which torch computes; set it to auto"
        )
    if options.precision == "bf16" and not _has_bf16(device, kind):
        raise CheckpointError(
            f"infer.precision bf16: {kind} on this {device.type} has no bf16 of its own; set it to auto or fp32"
        )
