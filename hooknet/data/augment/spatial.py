"""Flips, quarter turns and elastic deformation: the same tissue displacement in every view and its labels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

# 0..3: that many quarter turns to the left; 4..7: these of the mirror image (columns reversed).  Each as whether
# rows and columns change places, and which of the two are then reversed.
_SYMMETRIES: tuple[tuple[bool, tuple[int, ...]], ...] = (
    (False, ()),
    (True, (-2,)),
    (False, (-2, -1)),
    (True, (-1,)),
    (False, (-1,)),
    (True, ()),
    (False, (-2,)),
    (True, (-2, -1)),
)


def displacement(field: Tensor, extent_um: float, size: int, spacing: float) -> Tensor:
    """The field seen by a view: (B, 2, size, size) in px of the view, x then y.

    ``field`` (B, 2, nodes, nodes) in µm, its outer nodes ``extent_um`` apart around the common centre, is
    interpolated at the view's pixel centres, so that views of any spacing move the same tissue alike.
    """
    # Frame: -1..1 between the outer nodes (align_corners=True), 0 at the centre.
    axis = (torch.arange(size, device=field.device, dtype=field.dtype) + 0.5 - size / 2) * spacing
    axis = axis / (extent_um / 2)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    places = torch.stack([columns, rows], dim=-1).expand(len(field), -1, -1, -1)  # (B, size, size, 2)
    # Bilinear keeps within the nodes' own range, which bounds the labels' margin.
    return grid_sample(field, places, mode="bilinear", padding_mode="border", align_corners=True) / spacing


def warp_images(images: Tensor, moved: Tensor) -> Tensor:
    """Images (B, C, S, S) sampled linearly at each pixel plus ``moved`` (B, 2, S, S) px; edges repeat."""
    size = images.shape[-1]
    axis = torch.arange(size, device=images.device, dtype=images.dtype)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    places = torch.stack([columns + moved[:, 0], rows + moved[:, 1]], dim=-1)
    places.add_(0.5).mul_(2 / size).sub_(1)
    return grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=False)


def warp_labels(labels: Tensor, moved: Tensor) -> Tensor:
    """Labels (B, S, S) taken at the pixel nearest to each pixel plus ``moved`` px; 0 from outside."""
    size = labels.shape[-1]
    axis = torch.arange(size, device=labels.device, dtype=moved.dtype)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    column = torch.round(columns + moved[:, 0]).long()
    row = torch.round(rows + moved[:, 1]).long()
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    flat = row.clamp(0, size - 1) * size + column.clamp(0, size - 1)
    taken = labels.flatten(1).gather(1, flat.flatten(1)).view_as(labels)
    return torch.where(inside, taken, torch.zeros_like(taken))


def turn(maps: Tensor, symmetry: Tensor) -> Tensor:
    """Each of (B, …, S, S) flipped and turned by its own one of the square's eight symmetries, 0..7."""
    turned = torch.empty_like(maps, memory_format=torch.contiguous_format)
    for place, one, number in zip(turned, maps, symmetry.tolist(), strict=True):
        transposed, flipped = _SYMMETRIES[int(number)]
        seen = one.transpose(-2, -1) if transposed else one
        place.copy_(seen.flip(flipped) if flipped else seen)
    return turned
