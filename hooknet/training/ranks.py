"""Several processes that train one network together, each on its share of every mini-batch.

Draws, loss and scores are those of one process: every process draws the same sequence and takes its part of each
mini-batch; what a loss divides by is counted over all of them; counts of validation are added up.  What is left are
layers that look at a whole mini-batch: batch normalisation does so over all GPUs, and on processors over each
process's share.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.strategies import DDPStrategy
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from hooknet.config.experiment import LoopOptions
from hooknet.errors import ConfigError
from hooknet.models.gpus import own_gpu

T = TypeVar("T")


def size() -> int:
    """How many processes train together; 1 before they have met."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process among them, from 0."""
    return distributed.get_rank() if size() > 1 else 0


def summed(values: Tensor) -> Tensor:
    """The sum over all processes of a training step; outside of one (no gradient is computed) the values themselves.

    Its gradient is ``size()`` times that of the process's own values: processes average their gradients, which
    makes it that of the sum.
    """
    if size() == 1 or not torch.is_grad_enabled():
        return values
    total = values.detach().clone()
    distributed.all_reduce(total)
    if not values.requires_grad:
        return total
    own = size() * values
    return total + (own - own.detach())


def added(values: NDArray[Any], device: torch.device) -> NDArray[Any]:
    """The sum over all processes of an array that each has."""
    if size() == 1:
        return values
    total = torch.from_numpy(values).to(device)
    distributed.all_reduce(total)
    found: NDArray[Any] = total.cpu().numpy()
    return found


def share_statistics(network: nn.Module) -> None:
    """Give all processes the mean of their running statistics, so that they validate, and store, one network."""
    if size() == 1:
        return
    for values in network.buffers():
        if values.is_floating_point():
            distributed.all_reduce(values)
            values /= size()


class Shares:
    """Each mini-batch's part that is this process's; a batch sampler, as what it is made from."""

    def __init__(self, batches: Any) -> None:
        """``batches``: mini-batches of as many members as there are processes, or a multiple of it."""
        self._batches = batches

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        for one in self._batches:
            yield one[rank() :: size()]


class OwnShare(Sequence[T]):
    """Those of a sequence that are this process's; a sampler."""

    def __init__(self, members: Sequence[T]) -> None:
        self._members = members

    def __len__(self) -> int:
        return len(self._mine)

    def __getitem__(self, number: Any) -> Any:
        return self._mine[number]

    @property
    def all(self) -> int:
        """How many all processes have together."""
        return len(self._members)

    @property
    def _mine(self) -> Sequence[T]:
        return self._members[rank() :: size()]


@dataclass(frozen=True)
class Ranks:
    """How many processes on each of how many machines."""

    devices: int = 1
    nodes: int = 1

    @property
    def all(self) -> int:
        """Processes together."""
        return self.devices * self.nodes

    def trainer_options(self) -> dict[str, Any]:
        """What Lightning's trainer is told."""
        if self.all == 1:
            # A job of SLURM that trains in one process is nobody's rank.
            return {"devices": [own_gpu()] if _gpus() > 1 else 1, "plugins": [LightningEnvironment()]}
        return {
            "devices": self.devices,
            "num_nodes": self.nodes,
            # Statistics are shared before each validation, so that processes may validate a batch more or less than
            # others.
            "strategy": DDPStrategy(forward_sync_buffers=False),
            "sync_batchnorm": torch.cuda.is_available(),
            "plugins": _launched_by(),
        }


def ranks_of(options: LoopOptions, validated: int, run: str) -> Ranks:
    """The processes of a training; ConfigError where a mini-batch or the validation cannot be shared out so.

    ``auto``: the GPUs that this machine, or job, has, or those of them that a mini-batch can be shared between;
    without any one process.  ``validated``: members of the validation.
    """
    if options.devices == "auto":
        there = _started_here(options.nodes) or _gpus() or 1
        fitting = [
            one
            for one in range(1, there + 1)
            if options.batch % (one * options.nodes) == 0 and one * options.nodes <= validated
        ]
        found = Ranks(max(fitting, default=1), options.nodes)
    else:
        found = Ranks(options.devices, options.nodes)
        if 0 < _gpus() < found.devices:
            raise ConfigError(
                f"run {run}: found {_gpus()} GPU(s), wanted train.devices {found.devices}; set it to auto, or ask for "
                "more GPUs"
            )
    if found.nodes > 1 and _started() != found.all:
        raise ConfigError(
            f"run {run}: found {_started()} process(es), wanted {found.devices} on each of {found.nodes} machines "
            "(train.devices, train.nodes); start the command by `srun --nodes=... --ntasks-per-node=...`, as "
            "profiles/slurm does, or by torchrun"
        )
    if options.batch % found.all:
        raise ConfigError(
            f"run {run}: a mini-batch of {options.batch} cannot be shared between {found.all} processes; set "
            "train.batch to a multiple of train.devices times train.nodes"
        )
    if validated < found.all:
        raise ConfigError(
            f"run {run}: a validation of {validated} cannot be shared between {found.all} processes; lower "
            "train.devices"
        )
    return found


def _started_here(nodes: int) -> int:
    """Processes of this training on this machine that torchrun, or srun on several machines, has started, or 0.

    On one machine a job's number of tasks may be meant for something else.
    """
    by_srun = os.environ.get("SLURM_NTASKS_PER_NODE", "0") if nodes > 1 else "0"
    return int(os.environ.get("LOCAL_WORLD_SIZE", by_srun))


def _started() -> int:
    """Processes that torchrun or srun has started, on all machines."""
    return int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_NTASKS", "1")))


def _gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _launched_by() -> list[Any]:
    """Who starts the processes: SLURM or torchrun where they did, else the first of them starts the others."""
    if "LOCAL_WORLD_SIZE" in os.environ:
        return []
    if int(os.environ.get("SLURM_NTASKS", 1)) > 1:
        # A job that is ended goes on when it is started again: nothing has to be put back into a queue from inside.
        return [SLURMEnvironment(auto_requeue=False)]
    return [LightningEnvironment()]


def drawn_by(seed: int, *place: int) -> int:
    """A seed for what layers draw at a place of the training: of each process its own, of the first as if alone."""
    numbers = np.random.SeedSequence([seed, *place, *([rank()] if rank() else [])])
    return int(numbers.generate_state(1)[0])
