"""The shearlet implicit head: logits as a function of a px's place, of waves there and of the features.

Source: HDC-HRNet description and its code.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, softplus
from torch.utils.checkpoint import checkpoint

from hooknet.shapes.hdc_heads import SHEARLET_ORIENTATIONS, SHEARLET_SCALES, SHEARLET_WIDTH

#: What the controller gives at first: frequency, scale along and across the wave (before softplus), shear.
_FIRST_CONTROLS = (1.0, 1.0, 1.0, 0.0)
_LEAST_CONTROL = 0.1
_LARGEST_SHEAR = 2.0
#: How much of the head is in the logits at first, before the sigmoid: 0.62 of it.
_FIRST_SHARE = 0.5


class ShearletHead(nn.Module):
    """Fuses a map's logits with those of a network that sees, of each px, its place, 32 waves and the features.

    A place is (x, y) of the px centre, the corners of the map at -1 and 1: local to the tile.  The head is thus not
    translation-invariant: the same tissue elsewhere in a tile, or in a tile of another size, gives other logits.

    The waves are cos(2π f s u') · exp(-½ ((a u')² + (b v)²)) with (u, v) the place turned by one of 8 fixed angles
    kπ/8 and u' = u + c·v; s is one of 4 frequencies that are learnt (0.5 to 4 at first).  Of each px a controller
    makes f, a, b (softplus + 0.1) and c (2 tanh) from its features; at first they are the same everywhere.

    Hidden layers have 256 channels and SiLU: two of the controller, one of the place, two behind all.  Layers that
    see the features do so at the features' own size; enlarging, which is linear, comes behind them.  That is
    exact, and saves enlarging wide features.
    """

    def __init__(self, features: int, classes: int, chunk_rows: int = 32) -> None:
        """``features``: channels F; ``classes``: K.  ``chunk_rows``: rows of the map that are in memory at a time."""
        super().__init__()
        self.chunk_rows = chunk_rows
        width = SHEARLET_WIDTH
        first, last, scales = SHEARLET_SCALES
        self.scales = nn.Parameter(torch.linspace(first, last, scales))
        self.share = nn.Parameter(torch.tensor(_FIRST_SHARE))
        # The features' part of the first layers of controller and decoder.
        self.of_features = nn.Conv2d(features, 2 * width, 1)
        self.controller = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(), _first_controls(nn.Conv2d(width, 4, 1))
        )
        # The last layer is the decoder's part.
        self.of_place = nn.Sequential(
            nn.Conv2d(2, width, 1),
            nn.SiLU(),
            nn.Conv2d(width, width, 1),
            nn.Conv2d(width, width, 1, bias=False),
        )
        self.of_waves = nn.Conv2d(scales * SHEARLET_ORIENTATIONS, width, 1, bias=False)
        self.decoder = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(), nn.Conv2d(width, classes, 1)
        )

    def forward(self, features: Tensor, logits: Tensor) -> Tensor:
        """(B, F, h, w) and (B, K, H, W) -> (B, K, H, W): (1 - σ(share)) · logits + σ(share) · the head's.

        Rows are worked on in chunks.  In training the values inside a chunk are not kept but computed again for the
        gradient, so that memory does not grow with the map beyond its logits.
        """
        height, width = logits.shape[-2:]
        seen = self.of_features(features)
        run: Callable[..., Tensor] = self._rows
        if self.training and torch.is_grad_enabled():
            run = _recomputed(self._rows)
        found = [
            run(seen, first, min(first + self.chunk_rows, height), (height, width))
            for first in range(0, height, self.chunk_rows)
        ]
        share = self.share.sigmoid()
        return (1 - share) * logits + share * torch.cat(found, dim=2)

    def _rows(self, seen: Tensor, first: int, last: int, size: tuple[int, int]) -> Tensor:
        """The head's logits (B, K, last - first, W) of rows of a map of ``size``."""
        control, direct = rows_of(seen, first, last, size).chunk(2, dim=1)
        place = _places(seen, first, last, size)
        waves = shearlets(place, self.controller(control), self.scales).to(seen.dtype)
        joined = direct + self.of_place(place.to(seen.dtype)) + self.of_waves(waves)
        logits: Tensor = self.decoder(joined)
        return logits


def shearlets(place: Tensor, controls: Tensor, scales: Tensor) -> Tensor:
    """Waves (B, S·8, r, W) at places (1, 2, r, W), of controls (B, 4, r, W) before their bounds, scales (S,).

    The order is that of scales, and of orientations in each.
    """
    bounded = softplus(controls[:, :3].to(place.dtype)) + _LEAST_CONTROL
    frequency, along, across = bounded[:, :, None].unbind(dim=1)  # (B, 1, r, W)
    shear = _LARGEST_SHEAR * controls[:, 3:].to(place.dtype).tanh()
    angles = torch.arange(SHEARLET_ORIENTATIONS, dtype=place.dtype, device=place.device).view(1, -1, 1, 1)
    angles = angles * (pi / SHEARLET_ORIENTATIONS)
    x, y = place[:, :1], place[:, 1:]
    v = x * angles.sin() + y * angles.cos()
    u = x * angles.cos() - y * angles.sin() + shear * v  # (B, 8, r, W)
    envelope = (-0.5 * ((along * u).square() + (across * v).square())).exp()
    turns = frequency[:, None] * scales.view(1, -1, 1, 1, 1) * u[:, None]  # (B, S, 8, r, W)
    return ((2 * pi * turns).cos() * envelope[:, None]).flatten(1, 2)


def rows_of(values: Tensor, first: int, last: int, size: tuple[int, int]) -> Tensor:
    """Rows first..last - 1 of (B, C, h, w) resized to (B, C, *size): bilinear, px centres in their places."""
    held, (height, width) = values.shape[-2], size
    rows = torch.arange(first, last, dtype=torch.float64, device=values.device)
    at = ((rows + 0.5) * (held / height) - 0.5).clamp(0, held - 1)
    above = at.long()
    below = (above + 1).clamp(max=held - 1)
    share = (at - above).to(values.dtype)[:, None]
    mixed = torch.lerp(values.index_select(2, above), values.index_select(2, below), share)
    return interpolate(mixed, size=(last - first, width), mode="bilinear", align_corners=False)


def _places(like: Tensor, first: int, last: int, size: tuple[int, int]) -> Tensor:
    """(1, 2, last - first, W): x and y of px centres, -1 and 1 at the map's corners; in single precision at least."""
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    height, width = size
    x = (2 * torch.arange(width, dtype=dtype, device=like.device) + 1) / width - 1
    y = (2 * torch.arange(first, last, dtype=dtype, device=like.device) + 1) / height - 1
    return torch.stack([x.expand(last - first, -1), y[:, None].expand(-1, width)])[None]


def _recomputed(run: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The same function, whose inner values are computed again for the gradient."""

    def recomputed(*inputs: object) -> Tensor:
        # Nothing inside is random.
        found: Tensor = checkpoint(run, *inputs, use_reentrant=False, preserve_rng_state=False)
        return found

    return recomputed


def _first_controls(layer: nn.Conv2d) -> nn.Conv2d:
    """The same layer, giving the same everywhere until it is trained."""
    nn.init.zeros_(layer.weight)
    with torch.no_grad():
        layer.bias.copy_(torch.tensor(_FIRST_CONTROLS))  # type: ignore[union-attr]  # it has one
    return layer
