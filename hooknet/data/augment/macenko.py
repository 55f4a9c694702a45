"""Stain augmentation with the two stains of the slide itself, found as Macenko et al. 2009 do.

Images are (3, N, N) floats 0..1.  The optical density of a transmittance I is -log10 I, channel by channel.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hooknet.data.augment.colour import DARKEST

#: A px of a lower optical density (length over red, green and blue) is no tissue; β of the paper.
FAINTEST: Final = 0.15
#: Stains are sought in every nth row and column, so that about so many a side are seen: for 1024 px a tenth of the
#: time, and stains within a tenth of a degree.
SEEN: Final = 256
#: The stains are the directions that so large a share of the tissue is beyond at either end; α of the paper.
BEYOND: Final = 0.01
#: Fewer px of tissue among those seen, or stains nearer to each other (radians), tell no two stains apart.
FEWEST: Final = 100
NARROWEST: Final = 0.05


def find_stains(image: Tensor) -> Tensor | None:
    """(2, 3) unit vectors of optical density, that which takes more red first (haematoxylin); None if none tell.

    Tissue lies in a plane through white: that of the two largest singular vectors.  In it the stains are the
    outermost directions, but for one px in a hundred.
    """
    step = max(1, image.shape[-1] // SEEN)
    densities = -image[:, ::step, ::step].flatten(1).clamp(min=DARKEST).log10()
    tissue = densities[:, densities.norm(dim=0) >= FAINTEST].double()
    if tissue.shape[1] < FEWEST:
        return None
    # The singular vectors of a 3 x n matrix are the eigenvectors of a 3 x 3 one; the largest come last.
    _, vectors = torch.linalg.eigh(tissue @ tissue.T)
    first, second = vectors[:, 2] * vectors[:, 2].sum().sign(), vectors[:, 1]
    angles = torch.atan2(second @ tissue, first @ tissue)
    ends = torch.stack([_quantile(angles, BEYOND), _quantile(angles, 1 - BEYOND)])
    if ends[1] - ends[0] < NARROWEST:
        return None
    stains: Tensor = ends.cos()[:, None] * first + ends.sin()[:, None] * second
    return stains[stains[:, 0].argsort(descending=True)].to(image)


def change_stains(image: Tensor, stains: Tensor, factors: Tensor, shifts: Tensor) -> Tensor:
    """The image whose amounts of the stains (2, 3) became amount · (1 + factor) + shift · density; each (2,).

    Amounts are those of least squares; what they do not explain is left as it is.  The density is the px's own
    mean over red, green and blue: the published shift is one amount for all px, which colours bare glass and
    the padding around a slide; ours leaves white white (as does :func:`hooknet.data.augment.colour.stain`).
    At zero strength the image comes back to the bit.  Results may exceed 1.
    """
    stains, factors, shifts = stains.to(image), factors.to(image), shifts.to(image)
    amounts = torch.linalg.pinv(stains)  # (3, 2): densities @ amounts = amount of either stain
    change = amounts @ (factors[:, None] * stains) + (shifts @ stains)[None] / 3
    logarithms = image.clamp(min=DARKEST).log2()
    return torch.einsum("khw,kc->chw", logarithms, change).exp2().mul_(image)


def _quantile(values: Tensor, share: float) -> Tensor:
    """The nearest of the values; torch's own quantile sorts them all."""
    return values.kthvalue(1 + round(share * (len(values) - 1))).values
