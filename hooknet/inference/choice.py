"""Which engine computes a slide: the fastest of those that are there and agree with the network."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

import torch

from hooknet.config.experiment import EngineOptions, Precision
from hooknet.errors import CheckpointError
from hooknet.inference import openvino_engine
from hooknet.inference.agreement import Agreement, compared
from hooknet.inference.engines import Engine, TorchEngine, Views
from hooknet.inference.openvino_engine import OpenVinoEngine
from hooknet.models import gpus
from hooknet.models.network import Network
from hooknet.shapes.tiles import Tile

logger = logging.getLogger(__name__)

#: Multiply-accumulates of a slide from which on compiling pays: some 20 s of torch on two cores.
WORTH_COMPILING = 2e11


class Named(Protocol):
    """An engine: it has a name."""

    name: str


Made = TypeVar("Made", bound=Named)


@dataclass(frozen=True)
class Candidate(Generic[Made]):
    """An engine that could be made, and how."""

    name: str
    precision: Precision
    make: Callable[[], Made]


@dataclass(frozen=True)
class Job:
    """What an engine is chosen for: the ``tile``, how many ``tiles``, the ``threads`` to use.

    ``shares``: whether probabilities are wanted.
    """

    tile: Tile
    tiles: int
    threads: int
    shares: bool


def kinds(device: torch.device, work: float, options: EngineOptions) -> Iterator[tuple[str, Precision]]:
    """``OpenVINO`` or ``torch`` with a precision, in the order in which they are preferred.

    ``work``: multiply-accumulates in all.  CheckpointError where what is asked for cannot be.
    """
    kind = _kind(device, options)
    if options.engine == "auto" and options.precision != "bf16" and work < WORTH_COMPILING:
        kind = "torch"
    _check_possible(device, kind, options)
    for precision in _precisions(device, kind, options):
        yield "OpenVINO" if kind == "openvino" else "torch", precision
    if options.engine == "auto" and kind == "openvino" and options.precision != "bf16":
        yield "torch", "fp32"


def candidates(network: Network, job: Job, options: EngineOptions) -> Iterator[Candidate[Engine]]:
    """Engines of tiles in the order in which they are preferred.  CheckpointError where a wanted one cannot be."""
    device, tile, shares = next(network.parameters()).device, job.tile, job.shares
    if not network.shape.compiles and options.engine == "auto":
        options = options.model_copy(update={"engine": "torch"})
    for name, precision in kinds(device, network.shape.tile_work(tile) * job.tiles, options):
        if name == "OpenVINO":
            make: Callable[[], Engine] = partial(
                OpenVinoEngine, network, tile, shares, precision, job.threads
            )
        else:
            make = partial(TorchEngine, network, tile, shares, precision)
        yield Candidate(name, precision, make)


def choose(network: Network, job: Job, options: EngineOptions, views: Views) -> Engine:
    """The first candidate that agrees with the network on a tile (see :mod:`hooknet.inference.agreement`).

    ``views`` are those of a tile with much in it.  CheckpointError when none agrees.
    """

    def compare(engine: Engine) -> Agreement:
        return compared(network, job.tile, engine.start(views, logits=True)(), views)

    return first_that_agrees(candidates(network, job, options), compare, options, "a tile")


def first_that_agrees(
    found: Iterable[Candidate[Made]], compare: Callable[[Made], Agreement], options: EngineOptions, on: str
) -> Made:
    """The first candidate that can be made and agrees with torch in fp32, which itself is not compared.

    ``on`` what they are compared, for messages.  CheckpointError when none agrees.
    """
    told = []
    for one in found:
        try:
            engine = one.make()
            if (one.name, one.precision) == ("torch", "fp32"):
                logger.info("%s, fp32", engine.name)
                return engine  # it is what the others are compared with
            agreed = compare(engine)
        except (RuntimeError, ImportError) as error:  # a compiler's own: the next candidate can do without it
            told.append(f"{one.name} in {one.precision} failed ({' '.join(str(error).split())[:200]})")
            logger.warning("%s; trying the next engine", told[-1])
            continue
        if agreed.suffices(one.precision):
            logger.info(
                "%s, %s: as torch in fp32 on %s: probabilities within %.1g, same class in %.3f %%",
                engine.name, one.precision, on, agreed.difference, 100 * agreed.share,
            )  # fmt: skip
            return engine
        told.append(
            f"{one.name} in {one.precision} differs from torch in fp32 by {agreed.difference:.2g} in a probability, "
            f"{100 * (1 - agreed.share):.3f} % of what was compared has another class"
        )
        logger.warning("%s; not used", told[-1])
        del engine  # before the next takes as much
    raise CheckpointError(
        f"infer.engine {options.engine}, infer.precision {options.precision}: {'; '.join(told)}; set both to auto"
    )


def _kind(device: torch.device, options: EngineOptions) -> str:
    """``torch`` or ``openvino``."""
    if options.engine == "auto":
        return "openvino" if device.type == "cpu" and openvino_engine.is_installed() else "torch"
    return options.engine


def _precisions(device: torch.device, kind: str, options: EngineOptions) -> tuple[Precision, ...]:
    """What is asked for, or all that there is, the fastest first."""
    return _own(device, kind) if options.precision == "auto" else (options.precision,)


def _own(device: torch.device, kind: str) -> tuple[Precision, ...]:
    """Precisions that a device computes in by itself, the fastest first."""
    if kind == "openvino":
        with contextlib.suppress(ImportError):  # told where the engine is made
            if openvino_engine.has_bf16():
                return "bf16", "fp32"
        return ("fp32",)
    return ("bf16", "tf32", "fp32") if device.type == "cuda" and gpus.has_bf16() else ("fp32",)


def _check_possible(device: torch.device, kind: str, options: EngineOptions) -> None:
    if kind == "openvino" and not openvino_engine.is_installed():
        raise CheckpointError(
            f"infer.engine openvino: the package is not installed; {openvino_engine.INSTALL}, or set it to auto"
        )
    if kind == "openvino" and device.type != "cpu":
        raise CheckpointError(
            f"infer.engine openvino: found a {device.type} device, on which torch computes; set it to auto"
        )
    if options.precision != "auto" and options.precision not in _own(device, kind):
        raise CheckpointError(
            f"infer.precision {options.precision}: {kind} on this {device.type} has no {options.precision} of its own; "
            "set it to auto or fp32"
        )
