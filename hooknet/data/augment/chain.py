"""All augmentations in their order, batched, on the device that trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hooknet.coordinates import PatchSpec
from hooknet.data.augment import colour, numbers, spatial


@dataclass(frozen=True)
class Strengths:
    """How strong each augmentation is; 0 switches one off.  Lengths in µm, the others as shares."""

    flips: bool
    elastic_um: float
    elastic_scale_um: float
    elastic_share: float
    brightness: float
    contrast: float
    saturation: float
    noise: float
    stain: float


class Augment:
    """Views (B, branches, C, S, S) floats 0..1 and labels per branch -> the same, changed alike.

    Stain and saturation are for red, green and blue: where C is not 3 both have to be 0, else ValueError.

    Everything random comes in as the numbers that the loader drew for each patch.  Where all strengths are 0
    everything comes back to the bit.

    All views and labels show one place where they meet, but for the rim of an elastically deformed view: tissue
    from beyond it was not read, so its edge repeats, as far in as the displacement reaches.  No label that is
    scored lies there unless the output nearly fills the patch; then it becomes 0.
    """

    def __init__(self, strengths: Strengths, spec: PatchSpec, layout: numbers.AugmentNumbers) -> None:
        """``layout`` is that of the displacement fields that come in."""
        self._strengths = strengths
        self._spec = spec
        self._layout = layout

    def __call__(
        self, views: Tensor, labels: Sequence[Tensor], branches: Sequence[int], uniform: Tensor, field: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """``labels``: (B, s, s) for each of ``branches``; ``uniform`` (B, UNIFORM), ``field`` (B, 2, n, n).

        ``uniform`` is best left on the CPU: what it decides is decided there, and a GPU that has to be asked for
        it is waited for.
        """
        if self._strengths.elastic_um > 0:
            views, labels = self._elastic(views, labels, branches, uniform, field)
        if self._strengths.flips:
            symmetry = (uniform[:, numbers.SYMMETRY] * 8).long()
            views = spatial.turn(views, symmetry)
            labels = [spatial.turn(one, symmetry) for one in labels]
        return self._colour(views, uniform), list(labels)

    def _elastic(
        self, views: Tensor, labels: Sequence[Tensor], branches: Sequence[int], uniform: Tensor, field: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        chosen = torch.nonzero(uniform[:, numbers.ELASTIC] < self._strengths.elastic_share)[:, 0].to(
            field.device
        )
        field_um = field[chosen] * self._strengths.elastic_um
        extent, spacings = self._layout.extent_um, self._spec.spacings
        views, moved = views.clone(), [one.clone() for one in labels]
        for branch, spacing in enumerate(spacings):
            there = spatial.displacement(field_um, extent, views.shape[-1], spacing)
            views[chosen, branch] = spatial.warp_images(views[chosen, branch], there)
        for one, branch in zip(moved, branches, strict=True):
            there = spatial.displacement(field_um, extent, one.shape[-1], spacings[branch])
            one[chosen] = spatial.warp_labels(one[chosen], there)
        return views, moved

    def _colour(self, views: Tensor, uniform: Tensor) -> Tensor:
        strengths = self._strengths
        signed = uniform * 2 - 1  # -1..1
        if strengths.stain > 0:
            shaken = signed[:, numbers.STAIN : numbers.STAIN + 6] * strengths.stain
            views = colour.stain(views, shaken[:, :3], shaken[:, 3:])
        if strengths.brightness > 0 or strengths.contrast > 0 or strengths.saturation > 0:
            views = colour.adjust(
                views,
                signed[:, numbers.BRIGHTNESS] * strengths.brightness,
                signed[:, numbers.CONTRAST] * strengths.contrast,
                signed[:, numbers.SATURATION] * strengths.saturation,
            )
        if strengths.noise > 0:
            # One number of the batch's first patch seeds its pixels' noise.
            generator = torch.Generator(views.device)
            generator.manual_seed(int(uniform[0, numbers.NOISE].item() * 2**31))
            views = colour.add_noise(views, uniform[:, numbers.NOISE] * strengths.noise, generator)
        return views.clamp(0, 1)
