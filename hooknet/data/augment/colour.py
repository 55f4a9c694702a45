"""Brightness, contrast, saturation, noise and stain; one setting for all views of a patch.

Images are (B, views, C, S, S) floats 0..1, where C is 3 but of slices of volumes; strengths are (B,) and broadcast
over views, bands and pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Optical densities of haematoxylin, eosin and DAB in red, green, blue (Ruifrok and Johnston 2001), rows normalised.
_STAINS = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
STAINS = _STAINS / _STAINS.norm(dim=1, keepdim=True)
# Below the smallest 8-bit value above 0, which is 3.9e-3.
DARKEST = 1e-3
GREY = torch.tensor([0.299, 0.587, 0.114])


def _each(strength: Tensor) -> Tensor:
    return strength.view(-1, 1, 1, 1, 1)


def _mix(images: Tensor, weights: Tensor, offset: Tensor) -> Tensor:
    """Channel c of the result is ``offset`` (B,) plus the sum over channels k of k times ``weights`` (B, k, c).

    Channel by channel: a matrix product of 3 x 3 is slow, and a GPU may compute it in half precision.
    """
    weights, offset = weights.to(images)[..., None, None, None], offset.to(images).view(-1, 1, 1, 1)
    mixed = torch.empty_like(images)
    for channel in range(3):
        found = mixed[:, :, channel]
        torch.addcmul(offset, images[:, :, 0], weights[:, 0, channel], out=found)
        for other in (1, 2):
            found.addcmul_(images[:, :, other], weights[:, other, channel])
    return mixed


def adjust(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Images times (1 + brightness), stretched about mid-grey by (1 + contrast), and from grey by (1 + saturation).

    Where all three are 0 the image comes back to the bit.  Bands that are not red, green and blue have no grey:
    each is multiplied and stretched for itself, and ``saturation`` has to be 0.
    """
    if images.shape[2] != 3:
        if saturation.any():
            raise ValueError(f"saturation of {images.shape[2]} bands, which are no colours")
        return torch.addcmul(
            _each((-contrast / 2).to(images)), images, _each(((1 + brightness) * (1 + contrast)).to(images))
        )
    # One linear map: grey of a grey offset is that offset, so saturation leaves it.
    colourful = torch.eye(3).to(saturation) * (1 + saturation).view(-1, 1, 1)
    grey = GREY.to(saturation).view(1, 3, 1) * saturation.view(-1, 1, 1)
    gain = ((1 + brightness) * (1 + contrast)).view(-1, 1, 1)
    return _mix(images, gain * (colourful - grey), -contrast / 2)


def stain(images: Tensor, factors: Tensor, shifts: Tensor) -> Tensor:
    """Images whose amounts of stain became amount * (1 + factor) + shift * density; both strengths are (B, 3).

    Tellez et al. 2018: optical densities are unmixed into haematoxylin, eosin and a residual, each amount a
    becomes alpha * a + beta, and they are mixed again; alpha is drawn evenly from [1 - s, 1 + s], beta from
    [-s, s], once for each stain of a patch.  One thing is not theirs: their beta is one amount for all pixels,
    so that bare glass takes on a colour; ours grows with the pixel's mean density over red, green and blue.
    White, which is also what lies outside a slide in training and in inference, stays white, and a shift in
    tissue of density d is theirs with beta * d, the weaker the paler the tissue.

    At zero strength the image comes back to the bit, black included: what is returned is the image times the
    change of its transmittance, never a transmittance rebuilt from stains.  Values below ``DARKEST`` count as
    that dark (of 8-bit values, 0 alone), as black has no density; black stays black.  Results may exceed 1.
    ValueError for images whose bands are not red, green and blue.
    """
    if images.shape[2] != 3:
        raise ValueError(f"stains of {images.shape[2]} bands, which are no colours")
    stains = STAINS.to(factors)
    # Unmixing, changing and mixing amounts is one matrix a patch; logarithms to base 2 are the cheapest.
    changed = torch.linalg.inv(stains) @ (factors[:, :, None] * stains)
    added = (shifts.to(factors) @ stains)[:, None] / 3
    logarithms = images.clamp(min=DARKEST).log2_()
    change = _mix(logarithms, changed + added, torch.zeros(len(images)))
    return change.exp2_().mul_(images)


def add_noise(images: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Images plus Gaussian noise of standard deviation ``sigma``, drawn for every pixel."""
    noise = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return torch.addcmul(images, noise, _each(sigma.to(images)))
