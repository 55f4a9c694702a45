"""Batch renormalisation (Ioffe 2017): what a layer sees in training is nearly what it sees in inference.

The released code leaves r and d unclipped from the first step on (Keras's default).  Its layers then start
out normalised by running statistics that nothing has been averaged into yet, that is, not at all, and their
outputs may grow without bound.  Ours are clipped, as in the paper, and the limits widen as statistics ripen.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from hooknet.models.blocks import EPSILON

#: Plain batch normalisation for so many steps, then limits widen evenly up to a step.  The paper waits 5,000
#: and widens until 40,000 (r) and 25,000 (d) of 160,000 steps; a refiner trains for far fewer.  At the usual
#: momentum statistics forget all but 1 % of where they started in 500 steps.
RAMP: Final = (500, 2500)


class BatchRenorm2d(nn.Module):
    """(B, channels, h, w) -> the same, each channel normalised; also of a single image.

    Training: (x - µ_B) / σ_B · r + d, scaled and shifted, with r = σ_B / σ within [1 / r_max, r_max] and
    d = (µ_B - µ) / σ within ±d_max, no gradient through either; µ, σ are running statistics before the step.
    Inference: (x - µ) / σ, scaled and shifted.  σ is the root of the variance + 1e-3.

    ``momentum`` counts as torch's does: the share of a step in the running statistics.  Until there have been
    1 / momentum steps these are the mean of all steps, lest short trainings keep the values they start with.
    The state has the names of ``nn.BatchNorm2d``.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self,
        channels: int,
        momentum: float = 0.01,
        r_max: float = 3.0,
        d_max: float = 5.0,
        ramp: tuple[int, int] = RAMP,
    ) -> None:
        """``ramp``: the last step with r = 1, d = 0, and the first that ``r_max`` and ``d_max`` hold for."""
        super().__init__()
        self.momentum = momentum
        self.r_max = r_max
        self.d_max = d_max
        self.ramp = ramp
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> the same shape."""
        if not self.training:
            return _normalise(x, self.weight, self.bias, (self.running_mean, self.running_var))
        r, d = self._renorm(x.detach())
        return _normalise(x, self.weight * r, self.bias + self.weight * d)

    @torch.no_grad()
    def _renorm(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Factor r and offset d of each channel; counts the step and averages it in."""
        precise = x if x.dtype == torch.float64 else x.float()
        variance, mean = torch.var_mean(precise, dim=(0, 2, 3), correction=0)
        r_max, d_max = self._limits()
        deviation = (self.running_var + EPSILON).sqrt()
        r = ((variance + EPSILON).sqrt() / deviation).clamp(1 / r_max, r_max)
        d = ((mean - self.running_mean) / deviation).clamp(-d_max, d_max)
        self.num_batches_tracked += 1
        share = (1 / self.num_batches_tracked).clamp(min=self.momentum)
        self.running_mean.lerp_(mean, share.to(mean))
        self.running_var.lerp_(variance, share.to(variance))
        return r, d

    def _limits(self) -> tuple[Tensor, Tensor]:
        """Tensors, not numbers, lest a GPU be waited for in each layer."""
        first, last = self.ramp
        share = ((self.num_batches_tracked - first) / max(1, last - first)).clamp(0, 1)
        return 1 + share * (self.r_max - 1), share * self.d_max

    def extra_repr(self) -> str:
        """What it is made of."""
        return f"{len(self.weight)}, momentum={self.momentum:g}, r_max={self.r_max:g}, d_max={self.d_max:g}"


def _normalise(
    x: Tensor, weight: Tensor, bias: Tensor, running: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """By the batch's statistics, or by running ones."""
    mean, variance = running or (None, None)
    # Not functional.batch_norm, which refuses one px of one image.
    return torch.batch_norm(
        x, weight, bias, mean, variance, running is None, 0.0, EPSILON, torch.backends.cudnn.enabled
    )
