"""A mini-batch through a network in parts, one after the other, none of which is kept for the gradient."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from hooknet.models.network import Outputs, Points


def checkpointed(
    network: nn.Module, outputs: Callable[[Sequence[Tensor]], Outputs], patches: Sequence[Tensor]
) -> Outputs:
    """What ``outputs`` gives of patches; for the gradient it is computed once more, with the same random draws."""
    found: Outputs = checkpoint(
        outputs,
        patches,
        use_reentrant=False,
        context_fn=lambda: (contextlib.nullcontext(), _statistics_as_they_are(network)),
    )
    return found


@contextlib.contextmanager
def _statistics_as_they_are(network: nn.Module) -> Iterator[None]:
    """Running statistics have seen the part already."""
    layers = [one for one in network.modules() if isinstance(one, _BatchNorm)]
    momenta = [one.momentum for one in layers]
    for one in layers:
        one.momentum = 0.0
    try:
        yield
    finally:
        for one, momentum in zip(layers, momenta, strict=True):
            one.momentum = momentum


def joined(parts: Sequence[Outputs]) -> Outputs:
    """The outputs of a whole mini-batch from those of its parts."""
    first = parts[0]
    logits = [torch.cat(of_branch) for of_branch in zip(*(one.logits for one in parts), strict=True)]
    deep = tuple(
        (share, torch.cat([one.deep[number][1] for one in parts]))
        for number, (share, _) in enumerate(first.deep)
    )
    points = None
    if first.points is not None:
        each = [one.points for one in parts if one.points is not None]
        points = Points(torch.cat([one.places for one in each]), torch.cat([one.logits for one in each]))
    return Outputs(logits, deep, points)
