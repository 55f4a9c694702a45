"""Brightness, contrast, saturation, noise and stain; one setting for all views of a patch.

Images are (B, views, 3, S, S) floats 0..1; strengths are (B,) and broadcast over views and pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Optical densities of haematoxylin, eosin and DAB in red, green, blue (Ruifrok and Johnston 2001), rows normalised.
_STAINS = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
STAINS = _STAINS / _STAINS.norm(dim=1, keepdim=True)
DARKEST = 1e-3
GREY = torch.tensor([0.299, 0.587, 0.114])


def _each(strength: Tensor) -> Tensor:
    return strength.view(-1, 1, 1, 1, 1)


def adjust(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Images times (1 + brightness), stretched about mid-grey by (1 + contrast), and from grey by (1 + saturation)."""
    images = images * (1 + _each(brightness))
    images = (images - 0.5) * (1 + _each(contrast)) + 0.5
    weights = GREY.to(images).view(1, 1, 3, 1, 1)
    grey = (images * weights).sum(dim=2, keepdim=True)
    return grey + (images - grey) * (1 + _each(saturation))


def stain(images: Tensor, factors: Tensor, shifts: Tensor) -> Tensor:
    """Images whose stains are scaled by (1 + factors) and shifted, both (B, 3) (Tellez et al. 2018, HED).

    Glass stays as white as it is: a shift works in proportion to the stain that is there.
    """
    stains = STAINS.to(images)
    density = -torch.log10(images.clamp(DARKEST, 1.0))
    amounts = torch.einsum("bvchw,cs->bvshw", density, torch.linalg.inv(stains))
    total = density.mean(dim=2, keepdim=True)
    scale = (1 + factors).view(-1, 1, 3, 1, 1)
    shift = shifts.view(-1, 1, 3, 1, 1)
    amounts = amounts * scale + shift * total
    return torch.pow(10.0, -torch.einsum("bvshw,sc->bvchw", amounts, stains))


def add_noise(images: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Images plus Gaussian noise of standard deviation ``sigma``, drawn for every pixel."""
    noise = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return images + noise * _each(sigma)
