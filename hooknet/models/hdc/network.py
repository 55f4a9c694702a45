"""HDC-HRNet: streams of four resolutions, of any of eight kinds of blocks, under a head, PointRend or shearlets.

Source: the project's public description, section by section in :mod:`hooknet.shapes.hdc`.  Its numbers of parameters
(10, 25 and 40 million) are not those of its own code; ours are what is built (docs/hdc_hrnet.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from torch import Tensor, nn

from hooknet.models.hdc.heads.pointrend import PointHead
from hooknet.models.hdc.heads.shearlet import ShearletHead
from hooknet.models.hdc.resampling import centred, upsampled
from hooknet.models.hdc.streams import HDCStage, Stem, Transition, joined
from hooknet.models.network import Network, Outputs
from hooknet.shapes.hdc import STREAMS, HDCSettings


class HDCHRNet(Network):
    """One view in, logits of the same size out."""

    settings: HDCSettings

    def __init__(self, settings: HDCSettings) -> None:
        super().__init__(settings)
        shape, of = settings.shape, settings
        self._strides = [shape.stem_stride << stream for stream in range(STREAMS)]
        self["stem"] = Stem(shape)
        for stage in range(STREAMS - 1):
            self[f"transition{stage}"] = Transition(shape, stage)
            self[f"stage{stage}"] = HDCStage(shape, stage)
        self["head"] = nn.Conv2d(shape.joined_width, of.classes, 1)
        for stream in range(STREAMS if of.deep_weights else 0):
            self[f"deep{stream}"] = nn.Conv2d(shape.width(stream), of.classes, 1)
        if of.points is not None:
            self["points"] = PointHead(shape.joined_width, of.classes, of.points)
        if of.shearlet:
            self["shearlet"] = ShearletHead(shape.joined_width, of.classes)

    def forward(self, patches: Sequence[Tensor]) -> list[Tensor]:
        """[Patches (B, C, M, M) of 0..1] -> [logits (B, K, M, M)]."""
        self._check(patches)
        return [self._logits(joined(self._streams(patches[0])), patches[0].shape[-1])]

    def target_logits(self, patches: Sequence[Tensor]) -> Tensor:
        """[View (B, C, M, M) of 0..1] -> logits (B, K, M, M)."""
        return self.forward(patches)[0]

    def outputs(self, patches: Sequence[Tensor]) -> Outputs:
        """The logits, those of the streams' own heads, and of PointRend's points."""
        self._check(patches)
        streams = self._streams(patches[0])
        features, size = joined(streams), patches[0].shape[-1]
        deep = tuple(
            (weight, upsampled(self[f"deep{stream}"](x), self._strides[stream]))
            for stream, (weight, x) in enumerate(zip(self.settings.deep_weights, streams, strict=False))
        )
        if not self._draws_points:
            return Outputs([self._logits(features, size)], deep)
        coarse = self["head"](features)
        points = self["points"](centred(coarse, self._strides[0]), centred(features, self._strides[0]))
        return Outputs([upsampled(coarse, self._strides[0])], deep, points)

    def regularised_kernels(self) -> Iterator[nn.Parameter]:
        """The kernels of all convolutions."""
        yield from (parameter for parameter in self.parameters() if parameter.ndim == 4)

    @property
    def _draws_points(self) -> bool:
        """Whether PointRend's points have a loss of their own, as in the paper."""
        points = self.settings.points
        return points is not None and points.mode == "paper" and self.training

    def _streams(self, x: Tensor) -> list[Tensor]:
        streams = [self["stem"](x)]
        for stage in range(STREAMS - 1):
            streams = self[f"stage{stage}"](self[f"transition{stage}"](streams))
        return streams

    def _logits(self, features: Tensor, size: int) -> Tensor:
        """Logits of full size from all streams joined."""
        stride = self._strides[0]
        coarse = self["head"](features)
        found: Tensor = upsampled(coarse, stride)
        if self.settings.points is not None and not self._draws_points:
            found = cast(PointHead, self["points"]).refine(
                centred(coarse, stride), centred(features, stride), size
            )
        elif self.settings.shearlet:
            found = self["shearlet"](centred(features, stride), found)
        return found
