"""The Fourier block: channels are mixed frequency by frequency (Li et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hooknet.models.hdc.blocks.options import BlockOptions
from hooknet.models.hdc.blocks.perceptron import perceptron
from hooknet.models.hdc.sampling import precise
from hooknet.shapes.hdc_blocks import FOURIER_EXPANSION, MODES, mixed_together, modes


class SpectralMixing(nn.Module):
    """Complex weights for the 16 lowest frequencies of each sign along rows, and the 16 lowest along columns.

    Of these a map uses those that it has.  Only up to 8 channels b are mixed with each other: 1024 C b numbers.
    A shift of a periodic map shifts the result.  Transforms and weights are in single precision at least.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        each = mixed_together(width)
        self.groups = width // each
        # Real and imaginary parts last: optimisers and mixed precision need no complex numbers.
        self.weight = nn.Parameter(torch.empty(self.groups, each, each, 2 * MODES, MODES, 2))
        nn.init.normal_(self.weight, std=(2 * each) ** -0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        height, width = x.shape[2:]
        with torch.autocast(x.device.type, enabled=False):
            fine = x.to(precise(x.dtype))
            spectrum = torch.fft.rfft2(fine, norm="ortho").unflatten(1, (self.groups, -1))
            weight = torch.view_as_complex(self.weight.to(fine.dtype))
            up, down, columns = modes(height, width)
            mixed = torch.zeros_like(spectrum)
            # Frequencies 0, 1, … stand first along rows, …, -2, -1 last, in the weights as in the spectrum.
            for rows in (slice(0, up), slice(-down, None) if down else slice(0, 0)):
                part = spectrum[..., rows, :columns]
                mixed[..., rows, :columns] = torch.einsum(
                    "ngiyx,goiyx->ngoyx", part, weight[..., rows, :columns]
                )
            back: Tensor = torch.fft.irfft2(mixed.flatten(1, 2), s=(height, width), norm="ortho")
        return back.to(x.dtype)


class Fourier(nn.Module):
    """Mixing by frequency, then 1x1 convolutions (to 2 C, GELU, back), each added to what comes in.

    1024 C b + 4 C² + 3 C parameters, b = 8 or the largest divisor of C below: 3.7 M at C = 384, where mixing all
    channels would take 152 M.  No normalisation: the source declares one that it does not use.
    """

    def __init__(self, width: int, options: BlockOptions) -> None:
        super().__init__()
        self.mixing = SpectralMixing(width)
        self.inner = perceptron(width, FOURIER_EXPANSION)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = x + self.mixing(x)
        found: Tensor = x + self.inner(x)
        return found
