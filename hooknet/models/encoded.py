"""U-Net and HookNet of own encoders: HookNet's branches with their encoders replaced and convolutions that pad."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from hooknet.models.blocks import Style
from hooknet.models.checkpoint import restore
from hooknet.models.encoders import built, checked
from hooknet.models.hooknet import Branch, HookNet
from hooknet.shapes.encoded import EncodedSettings
from hooknet.shapes.hooknet import HookNetSettings


class EncodedBranch(Branch):
    """A branch whose ``encoder`` is the user's; maps of strides that it does not give are skipped over by none."""

    def train(self, mode: bool = True) -> EncodedBranch:
        """As of any module, but that a frozen encoder stays in evaluation."""
        super().train(mode)
        if self._spec.frozen:
            self["encoder"].eval()
        return self

    def _style(self, of: HookNetSettings) -> Style:
        return Style(of.convolutions, of.activation, of.batch_norm, padding=1)

    def _add_encoder(self, of: HookNetSettings, style: Style) -> None:
        self._spec = cast(EncodedSettings, of).encoder
        self["encoder"] = built(self._spec, of.channels)
        if self._spec.frozen:
            self["encoder"].requires_grad_(False)

    def _encode(self, x: Tensor) -> tuple[list[Tensor | None], Tensor]:
        spec, size = self._spec, x.shape[-1]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not spec.frozen):
            found = list(checked(self["encoder"](x), spec, size))
        at = dict(zip(spec.strides, found, strict=True))
        return [at.get(1 << depth) for depth in range(self.depth)], found[-1]


class EncodedNet(HookNet):
    """A branch a spacing, each with an encoder of its own of one kind."""

    settings: EncodedSettings

    def load_encoders(self, state: Mapping[str, Tensor], place: Path) -> None:
        """Put one state dict into the encoders of all branches; CheckpointError where it does not fit."""
        for branch in self.values():
            restore(cast(Branch, branch)["encoder"], state, place)

    def _branch(self, branch: int) -> Branch:
        return EncodedBranch(self.settings.shape, branch)
